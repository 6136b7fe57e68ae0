"""Counts test results: check's own tests inside meson's log, and pytest's JUnit file."""

import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

_CHECK_SUMMARY = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Tally:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"

    def good(self) -> bool:
        """A run in which nothing ran has not passed."""
        return self.failed == 0 and self.passed > 0


def of_program(result: str, output: str) -> Tally:
    """One test of meson. A program of check counts as many tests as it ran; one that died counts as at least one failure."""
    if result == "SKIP":
        return Tally(skipped=1)
    good = result in ("OK", "EXPECTEDFAIL")
    passed = failed = 0
    for total, failures, errors in _CHECK_SUMMARY.findall(output):
        bad = int(failures) + int(errors)
        passed, failed = passed + int(total) - bad, failed + bad
    if not good:
        return Tally(passed, max(failed, 1))
    return Tally(max(passed, 1), failed)


def of_meson(log: Path) -> Tally:
    """log: meson-logs/testlog.json, one object per line."""
    total = Tally()
    for line in log.read_text(errors="replace").splitlines():
        test = json.loads(line)
        total += of_program(test["result"], test.get("stdout") or "")
    return total


def of_junit(report: Path) -> Tally:
    total = Tally()
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped = int(suite.get("skipped", 0))
        total += Tally(int(suite.get("tests", 0)) - failed - skipped, failed, skipped)
    return total
