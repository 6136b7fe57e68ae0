"""tools/dev/testrun.py: a group that hangs is ended and counted."""

import os

from dev import testrun


def test_what_does_not_end_is_killed(monkeypatch, capsys):
    monkeypatch.setattr(testrun, "PYTEST_SECONDS", 0.2)
    assert testrun._bounded(["sleep", "60"], dict(os.environ)) < 0
    assert "did not end within 0.2 s: sleep 60" in capsys.readouterr().out


def test_the_exit_code_is_the_commands():
    assert testrun._bounded(["sh", "-c", "exit 5"], dict(os.environ)) == 5
