"""tools/dev/tally.py: what counts as passed and failed."""

import json

from dev.tally import Tally, of_junit, of_meson, of_program

CHECK = "Running suite(s): arena\n66%: Checks: 3, Failures: 1, Errors: 0\n"


def test_a_check_program_counts_its_own_tests():
    assert of_program("OK", "Running suite(s): a\n100%: Checks: 12, Failures: 0, Errors: 0\n") == Tally(12, 0)


def test_failures_and_errors_count_as_failed():
    assert of_program("FAIL", CHECK) == Tally(2, 1)


def test_a_program_that_died_without_a_summary_failed():
    assert of_program("FAIL", "") == Tally(0, 1)
    assert of_program("TIMEOUT", "100%: Checks: 5, Failures: 0, Errors: 0\n") == Tally(5, 1)


def test_a_plain_program_counts_as_one():
    assert of_program("OK", "hello") == Tally(1, 0)


def test_skipped_is_neither():
    assert of_program("SKIP", "") == Tally(0, 0, 1)


def test_a_log_of_meson_is_summed(tmp_path):
    log = tmp_path / "testlog.json"
    tests = [{"name": "a", "result": "OK", "stdout": "x"}, {"name": "b", "result": "FAIL", "stdout": CHECK}, {"name": "c", "result": "SKIP"}]
    log.write_text("".join(json.dumps(test) + "\n" for test in tests))
    assert of_meson(log) == Tally(3, 1, 1)


def test_a_report_of_pytest_is_summed(tmp_path):
    report = tmp_path / "junit.xml"
    report.write_text('<testsuites><testsuite tests="7" failures="1" errors="1" skipped="2"/></testsuites>')
    assert of_junit(report) == Tally(3, 2, 2)


def test_nothing_ran_is_not_good():
    assert not Tally().good()
    assert not Tally(5, 1).good()
    assert Tally(1).good()
