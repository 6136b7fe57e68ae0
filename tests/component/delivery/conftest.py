"""A delivery service of its own for each test."""

from typing import Iterator

import pytest
from support.delivery import Deliveries


@pytest.fixture
def deliveries(tmp_path) -> Iterator[Deliveries]:
    running = Deliveries(tmp_path)
    try:
        yield running.start()
    finally:
        running.stop()
