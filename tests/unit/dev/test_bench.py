"""tools/dev/bench/measure.py: what is measured, and when a target is met."""

import os
import subprocess

import pytest
from dev.bench.measure import Result, Samples, cpu_seconds, family


def test_a_target_is_met_or_missed_or_absent():
    assert Result("x", 13, "µs", at_most=13).met is True
    assert Result("x", 13.1, "µs", at_most=13).met is False
    assert Result("x", 4000, "/s", at_least=4000).met is True
    assert Result("x", 3999, "/s", at_least=4000).met is False
    assert Result("x", 1, "/s").met is None


def test_a_row_says_it_all():
    assert Result("echo", 35.25, "µs", "3 rounds", at_most=13).row() == ["echo", "35.25 µs", "≤ 13", "MISSED", "3 rounds"]
    assert Result("echo", 1.0, "×").row() == ["echo", "1 ×", "", "", ""]


def test_samples_are_summed_up_by_their_median():
    samples = Samples()
    for value in (9.0, 1.0, 2.0):
        samples.add(value)
    assert samples.median == 2.0
    assert f"{samples:.1f}" == "2.0"
    assert samples.spread() == "1.0–9.0"


def test_work_of_children_counts():
    script = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; read line <&3"
    with subprocess.Popen(["sh", "-c", f"exec 3<&0; ({script}) & wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout.readline() == "done\n"
        assert len(family(parent.pid)) >= 2
        assert cpu_seconds(parent.pid) > 0.02
        parent.stdin.close()


def test_a_process_that_is_gone_used_nothing():
    assert cpu_seconds(2**22 + 1) == 0
    assert os.getpid() in family(os.getpid())


def test_percentages_of_wrk_are_read(tmp_path, monkeypatch):
    from dev.bench import wrk

    output = 'Running 1s test\n\nREPORT {"requests": 100, "seconds": 2.0, "p50_us": 10.0, "p99_us": 20.0, "bad": 1}\n'
    monkeypatch.setattr(wrk.subprocess, "run", lambda *a, **k: subprocess.CompletedProcess([], 0, output))
    report = wrk.run("http://127.0.0.1:1/", 1, tmp_path, script="-- nothing")
    assert (report.rate, report.bad) == (pytest.approx(50), 1)
    assert (tmp_path / "wrk.lua").read_text().startswith("-- nothing")
