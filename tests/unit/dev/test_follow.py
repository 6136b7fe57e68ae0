"""tools/dev/follow.py: every complete line once."""

import pytest
from dev.follow import Follower


@pytest.fixture
def logs(tmp_path):
    return {"a": tmp_path / "a.log", "b": tmp_path / "b.log"}


def add(path, text):
    with open(path, "a") as file:
        file.write(text)


def test_lines_come_once_and_whole(logs):
    follower = Follower(logs)
    add(logs["a"], "one\ntw")
    assert list(follower.read()) == [("a", "one")]
    add(logs["a"], "o\n")
    add(logs["b"], "three\n")
    assert list(follower.read()) == [("a", "two"), ("b", "three")]
    assert list(follower.read()) == []


def test_old_lines_can_be_left_out(logs):
    add(logs["a"], "old\n")
    follower = Follower(logs, from_start=False)
    add(logs["a"], "new\n")
    assert list(follower.read()) == [("a", "new")]


def test_a_file_that_begins_anew_is_read_from_its_start(logs):
    follower = Follower(logs)
    add(logs["a"], "a long first line\n")
    list(follower.read())
    logs["a"].write_text("again\n")
    assert list(follower.read()) == [("a", "again")]


def test_bytes_that_are_no_text_do_not_stop_it(logs):
    logs["a"].write_bytes(b"\xff\xfe\n")
    assert len(list(Follower(logs).read())) == 1
