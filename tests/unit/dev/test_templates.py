"""tools/dev/templates.py: placeholders and their mistakes."""

import pytest
from dev.templates import fill


def test_every_placeholder_is_filled():
    assert fill("listen @nats.client@; dir @run_dir@; @run_dir@", {"nats.client": "127.0.0.1:1", "run_dir": "/r"}) == "listen 127.0.0.1:1; dir /r; /r"


def test_an_unknown_placeholder_is_named():
    with pytest.raises(KeyError, match="delivery.grcp"):
        fill("@delivery.grcp@", {"delivery.grpc": "x"})


def test_other_at_signs_stay():
    assert fill("admin@example.org # 5 @ 3", {}) == "admin@example.org # 5 @ 3"


def test_values_are_not_filled_again():
    assert fill("@a@", {"a": "@b@", "b": "x"}) == "@b@"
