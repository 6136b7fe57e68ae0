"""Ends a system that runs in the background (or in another terminal). What it stored stays in .run/."""

from dev.paths import DEMO_RUN, RUN
from dev.session import stop_running
from dev.term import say

SUMMARY = "end the running system"


def add_arguments(parser) -> None:
    del parser


def run(options) -> int:
    ended = [run_dir for run_dir in (RUN, DEMO_RUN) if stop_running(run_dir)]
    say("all ended" if ended else "nothing was running", "green")
    return 0
