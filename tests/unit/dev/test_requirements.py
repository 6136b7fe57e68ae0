"""tools/dev/requirements.py and the providers: which needs belong to which purpose."""

from dev import debian
from dev.requirements import DEBIAN, PURPOSES, GoVersion, least_go


def test_every_purpose_has_its_table():
    assert set(DEBIAN) == set(PURPOSES)


def test_building_asks_for_nothing_that_only_tests_use():
    names = debian.wanted(["build"])
    assert "gcc" in names
    assert not {"clang-format", "cppcheck"} & set(names)


def test_missing_packages_are_named_with_their_command(monkeypatch):
    monkeypatch.setattr(debian, "_installed", lambda names: set(names) - {"gcc", "nginx"})
    (need,) = debian.missing(["build"])
    assert need.what == "Debian packages: gcc nginx"
    assert need.command.endswith("apt-get install --no-install-recommends gcc nginx")


def test_nothing_is_missing_when_all_are_installed(monkeypatch):
    monkeypatch.setattr(debian, "_installed", set)
    assert debian.missing(["build", "test", "lint"]) == []


def test_go_versions_are_read_and_compared():
    assert GoVersion.parse("go version go1.26.8 linux/amd64") == GoVersion(1, 26)
    assert GoVersion.parse("go 1.25.0") == GoVersion(1, 25)
    assert GoVersion.parse("gccgo unknown") is None
    assert GoVersion(1, 26).satisfies(GoVersion(1, 25))
    assert not GoVersion(1, 19).satisfies(GoVersion(1, 25))
    assert GoVersion(2, 0).satisfies(least_go())
