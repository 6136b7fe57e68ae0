"""tools/dev/stamps.py: a stamp holds until an input changes or the product goes."""

import pytest
from dev.stamps import Stamp, digest


@pytest.fixture
def pieces(tmp_path):
    pins, product = tmp_path / "pins.txt", tmp_path / "product"
    pins.write_text("pytest==9")
    product.write_text("installed")
    return tmp_path, pins, product


def stamp(pieces):
    folder, pins, product = pieces
    return Stamp("python", [pins, "extra"], product, folder / "stamps")


def test_nothing_is_stamped_at_first(pieces):
    assert not stamp(pieces).holds()


def test_holds_after_set_also_for_the_next_run(pieces):
    stamp(pieces).set()
    assert stamp(pieces).holds()


def test_a_changed_input_ends_it(pieces):
    stamp(pieces).set()
    pieces[1].write_text("pytest==10")
    assert not stamp(pieces).holds()


def test_a_lost_product_ends_it(pieces):
    stamp(pieces).set()
    pieces[2].unlink()
    assert not stamp(pieces).holds()


def test_parts_do_not_run_into_one_another():
    assert digest(["ab", "c"]) != digest(["a", "bc"])
