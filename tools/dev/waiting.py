"""Waiting for a condition, with a deadline."""

import time
from typing import Callable


def eventually(condition: Callable[[], object], seconds: float, every: float = 0.02) -> bool:
    """Whether it became true within the time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True
