"""Runs one group of tests (a meson suite and the pytest folder of the same name) against one build folder."""

import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path

from dev import build, tally
from dev.paths import ROOT, VENV
from dev.tally import Tally
from dev.term import say

PROCESSES = 2 * (os.cpu_count() or 1)  # tests wait for servers and clocks more than they compute
PYTEST_SECONDS = 1800  # a group takes two minutes; one that hangs is a failure among the results, not the end of the report
# Groups whose Python tests start all they need by themselves, so that files may run side by side; system tests say more in their conftest.
# They wait for drones and clocks four fifths of their time.
_WORKERS = str((os.cpu_count() or 1) + 1)
_SIDE_BY_SIDE = {"component": ("-n", _WORKERS, "--dist", "loadfile"), "system": ("-n", _WORKERS, "--dist", "loadgroup")}

_SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    # die_after_fork=0: a test forks a process with threads (check starts each test so, before there are any) and has it start new ones.
    "TSAN_OPTIONS": f"halt_on_error=1:second_deadlock_stack=1:die_after_fork=0:suppressions={ROOT}/tests/tsan.supp",
}


def patience(folder: Path) -> int:
    """How much longer than usual tests may take: sanitizers slow down by that, and more on a busy machine."""
    return 1 if folder.name == "build" else 4


def environment(folder: Path) -> dict[str, str]:
    """Tests find the project's tools on PATH and the programs under test in SKYHOOK_BUILD."""
    return {**build.environment(), "SKYHOOK_BUILD": str(folder), "CK_TIMEOUT_MULTIPLIER": str(patience(folder)), **_SANITIZERS}


def meson_tests(folder: Path, group: str, word: str | None) -> list[str]:
    """Names of the tests of a suite that contain the word."""
    answer = subprocess.run(["meson", "introspect", "--tests", str(folder)], stdout=subprocess.PIPE, check=True)
    return [test["name"] for test in json.loads(answer.stdout)
            if f"{_project(test)}:{group}" in test["suite"] and (not word or word in test["name"])]


def strays(folder: Path, groups: tuple[str, ...]) -> set[str]:
    """Groups that hold tests but would never be run, because nobody knows their name."""
    answer = subprocess.run(["meson", "introspect", "--tests", str(folder)], stdout=subprocess.PIPE, check=True)
    suites = {suite.partition(":")[2] for test in json.loads(answer.stdout) for suite in test["suite"]}
    folders = {path.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").rglob("test_*.py")}
    return {name for name in suites | folders if name not in groups}


def _project(test: dict) -> str:
    return test["suite"][0].split(":")[0]


def run_meson(folder: Path, group: str, word: str | None = None) -> Tally:
    names = meson_tests(folder, group, word)
    if not names:
        return Tally()
    log = folder / "meson-logs" / f"{group}.json"
    log.unlink(missing_ok=True)
    command = ["meson", "test", "-C", str(folder), "--no-rebuild", "--print-errorlogs", "--logbase", group,
               "--num-processes", str(PROCESSES), "--timeout-multiplier", str(patience(folder)), "--suite", group, *(names if word else [])]
    code = subprocess.run(command, env=environment(folder), cwd=ROOT, check=False).returncode
    counted = tally.of_meson(log) if log.exists() else Tally(failed=1)
    return counted if code == 0 or counted.failed else counted + Tally(failed=1)


def pytest_files(group: str) -> list[Path]:
    return sorted((ROOT / "tests" / group).rglob("test_*.py"))


def run_pytest(folder: Path, group: str, word: str | None = None, arguments: tuple[str, ...] = ()) -> Tally:
    if not pytest_files(group):
        return Tally()
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "junit.xml"
        command = [str(VENV / "bin/python"), "-m", "pytest", "-c", str(ROOT / "tests/pytest.ini"), "--rootdir", str(ROOT),
                   f"--junitxml={report}", *(["-k", word] if word else []), *_SIDE_BY_SIDE.get(group, ()), *arguments, str(ROOT / "tests" / group)]
        code = _bounded(command, environment(folder))
        counted = tally.of_junit(report) if report.exists() else Tally(failed=1)
    nothing_selected = code == 5
    return counted if code == 0 or nothing_selected or counted.failed else counted + Tally(failed=1)


def _bounded(command: list[str], environment: dict[str, str]) -> int:
    """The command's exit code; negative when it had to be killed because it did not end."""
    try:
        return subprocess.run(command, env=environment, cwd=ROOT, check=False, timeout=PYTEST_SECONDS).returncode
    except subprocess.TimeoutExpired:
        say(f"killed, for it did not end within {PYTEST_SECONDS} s: {' '.join(command)}", "red")
        return -signal.SIGKILL
