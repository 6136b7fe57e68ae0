"""Removes what was built and what the system stored while running. Installed tools stay unless --all is given."""

import shutil

from dev.paths import ROOT, RUN, TOOLS
from dev.term import say

SUMMARY = "remove what was built and stored"


def add_arguments(parser) -> None:
    parser.add_argument("--all", action="store_true", help="also remove the installed tools in .tools/")


def run(options) -> int:
    for target in [*sorted(ROOT.glob("build*/")), RUN, *([TOOLS] if options.all else [])]:
        if target.is_symlink():  # a link to another checkout's folder is ours to remove, the folder is not
            target.unlink()
        elif target.is_dir():
            shutil.rmtree(target)
        else:
            continue
        say(f"removed {target.name}/")
    return 0
