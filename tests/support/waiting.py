"""Waiting for a condition, with a deadline: tests never sleep for a fixed time."""

import os
import time
from typing import Callable, TypeVar

T = TypeVar("T")
# How much longer than usual everything may take: the runner says so for sanitizers (tools/dev/testrun.py).
PATIENCE = float(os.environ.get("CK_TIMEOUT_MULTIPLIER", "1"))


def eventually(condition: Callable[[], T], seconds: float = 10.0, every: float = 0.02, what: str = "") -> T:
    """The first true value of the condition; fails, with the last value, after that many seconds (more under sanitizers). AssertionErrors
    count as not yet."""
    seconds *= PATIENCE
    deadline = time.monotonic() + seconds
    while True:
        try:
            value = condition()
            last: object = value
            if value:
                return value
        except AssertionError as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what or getattr(condition, '__name__', 'condition')}; last: {last!r}")
        time.sleep(every)
