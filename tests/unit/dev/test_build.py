"""When the build folder is set up, and when again."""

import os

import pytest

from dev import build


@pytest.fixture
def commands(monkeypatch, tmp_path):
    """What configure() runs, in a project with no build folder and nothing installed."""
    ran = []

    def run(command):
        ran.append(command[:3] if "--reconfigure" in command else command[:2])
        ninja = tmp_path / "build/build.ninja"
        ninja.parent.mkdir(exist_ok=True)
        ninja.touch()

    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "LOOKED_FOR", tmp_path / "conformance-proto")
    monkeypatch.setattr(build, "_run", run)
    return ran


def install(tmp_path, seconds_from_build: float):
    """A link, as npm's packages are linked, made so much later than the build folder's last set-up."""
    (tmp_path / "package").mkdir(exist_ok=True)
    link = tmp_path / "conformance-proto"
    link.symlink_to(tmp_path / "package")
    when = (tmp_path / "build/build.ninja").stat().st_mtime + seconds_from_build
    os.utime(link, (when, when), follow_symlinks=False)


def test_it_is_set_up_once(commands, tmp_path):
    build.configure()
    build.configure()
    assert commands == [["meson", "setup"]]


def test_what_is_installed_later_is_found(commands, tmp_path):
    """The demo builds without what only tests need; the tests must not be left out afterwards."""
    build.configure()
    install(tmp_path, 5)
    build.configure()
    assert commands[1:] == [["meson", "setup", "--reconfigure"]]


def test_what_was_there_at_set_up_is_not_looked_for_again(commands, tmp_path):
    build.configure()
    install(tmp_path, -5)
    build.configure()
    assert commands == [["meson", "setup"]]
