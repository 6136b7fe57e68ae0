"""Prints the log of one process (or of all) of the running or last system."""

import time
from pathlib import Path

from dev import state
from dev.follow import Follower
from dev.logview import LogView
from dev.paths import DEMO_RUN, RUN
from dev.services import NAMES
from dev.term import Refusal, coloured

SUMMARY = "print a service's log"


def add_arguments(parser) -> None:
    parser.add_argument("service", nargs="*", metavar="SERVICE", help="one or more of: " + ", ".join(NAMES) + " (default: all)")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what is added")
    parser.add_argument("--raw", action="store_true", help="the lines as they were written (JSON)")


def _folder() -> Path:
    """Logs of what runs, else of what ran last."""
    found = state.anywhere()
    if found:
        return found[0] / "logs"
    folders = [folder for folder in (RUN / "logs", DEMO_RUN / "logs") if folder.exists()]
    return max(folders, key=lambda folder: folder.stat().st_mtime, default=RUN / "logs")


def run(options) -> int:
    files = {name: _folder() / f"{name}.log" for name in options.service or NAMES}
    present = {name: path for name, path in files.items() if path.exists()}
    unknown = [name for name in options.service if name not in present]
    if unknown or not present:
        raise Refusal(f"no log of {', '.join(unknown) or 'any service'} in .run/logs")
    view, follower = LogView(present, coloured()), Follower(present)
    while True:
        batch = list(follower.read())
        for line in [raw for _, raw in batch] if options.raw else view.sorted_lines(batch):
            print(line, flush=True)
        if not batch:
            if not options.follow:
                return 0
            time.sleep(0.1)
