"""Ends a system that runs in the background (or in another terminal). What it stored stays in .run/."""

from dev.paths import RUN
from dev.session import stop_running
from dev.term import say

SUMMARY = "end the running system"


def add_arguments(parser) -> None:
    del parser


def run(options) -> int:
    say("all ended" if stop_running(RUN) else "nothing was running", "green")
    return 0
