"""tools/dev/process.py, with real children."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dev.process import Process, resident_kib, start_time

TOOLS = Path(__file__).parents[3] / "tools"


def eventually(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.01)


@pytest.fixture
def shell(tmp_path):
    started = []

    def make(script, **environment):
        process = Process("child", ["sh", "-c", script], {**os.environ, **environment}, tmp_path / "logs/child.log", tmp_path)
        process.start()
        started.append(process)
        return process

    yield make
    for process in started:
        process.kill()


def test_output_and_errors_go_to_the_log(shell):
    process = shell('echo out $WORD; echo err >&2; exit 3', WORD="here")
    assert process.wait(10) == 3
    assert process.log.read_text() == "out here\nerr\n"


def test_a_second_start_appends(shell):
    process = shell("echo again")
    process.wait(10)
    process.start()
    process.wait(10)
    assert process.log.read_text() == "again\nagain\n"


def test_the_pid_is_that_of_the_program_itself(shell):
    process = shell("echo $$; exec sleep 60")
    eventually(lambda: process.log.read_text() == f"{process.pid}\n")


def test_a_nice_one_gives_way_and_is_still_the_program_itself(tmp_path):
    process = Process("child", ["sh", "-c", "echo $$; exec sleep 60"], os.environ, tmp_path / "child.log", tmp_path, niceness=3)
    process.start()
    try:
        eventually(lambda: process.log.read_text() == f"{process.pid}\n")
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == min(os.getpriority(os.PRIO_PROCESS, 0) + 3, 19)
    finally:
        process.kill()


def test_stop_asks_first(shell):
    process = shell('trap "echo bye; exit 0" TERM; echo up; while :; do sleep 0.05; done')
    eventually(lambda: "up" in process.log.read_text())
    assert process.stop(signal.SIGTERM, 10) == 0
    assert process.log.read_text().endswith("bye\n")


def test_stop_takes_away_what_does_not_end(shell):
    process = shell('trap "" TERM; echo up; while :; do sleep 0.05; done')
    eventually(lambda: "up" in process.log.read_text())
    assert process.stop(signal.SIGTERM, 0.2) == -signal.SIGKILL


def test_kill_takes_its_children_along(shell):
    process = shell("sleep 60 & echo $!; wait")
    eventually(lambda: process.log.read_text().endswith("\n"))
    child = int(process.log.read_text())
    process.kill()
    eventually(lambda: start_time(child) is None or Path(f"/proc/{child}/stat").read_text().split(")")[1].split()[0] == "Z")


def test_a_child_ends_with_its_killed_parent(tmp_path):
    """kill -9 of ./dev leaves nothing behind, also when the thread that asked for the start is long gone."""
    script = f"""
import os, sys, threading, time
sys.path.insert(0, {str(TOOLS)!r})
from pathlib import Path
from dev.process import Process
process = Process("child", ["sleep", "60"], os.environ, Path({str(tmp_path)!r}) / "log", Path("/"))
thread = threading.Thread(target=process.start)
thread.start()
thread.join()
print(process.pid, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        child = int(parent.stdout.readline())
        began = start_time(child)
        assert began is not None
        eventually(lambda: Path(f"/proc/{child}/comm").read_text() == "sleep\n")  # setpriv has done its part
    finally:
        parent.kill()
        parent.wait()
    eventually(lambda: start_time(child) != began or " Z " in Path(f"/proc/{child}/stat").read_text())


def test_start_time_and_memory_of_a_process():
    assert start_time(os.getpid()) == start_time(os.getpid()) > 0
    assert start_time(2**22 + 1) is None
    assert resident_kib(os.getpid()) > 1000
    assert resident_kib(2**22 + 1) == 0
