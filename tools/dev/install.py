"""Makes sure that what a command needs is there: says what is missing, then installs it, or refuses when told not to install."""

import fcntl
import time
from typing import Sequence

from dev import debian, golang, npm, pypi
from dev.needs import Need
from dev.paths import TOOLS
from dev.term import Refusal, say, step

_PROVIDERS = (debian, pypi, golang, npm)  # in the order of installation: pip and npm come from Debian, Go from pip


def missing(purposes: Sequence[str]) -> list[Need]:
    return [need for provider in _PROVIDERS for need in provider.missing(purposes)]


def ensure(purposes: Sequence[str], no_install: bool = False) -> None:
    """purposes: of requirements.PURPOSES. Quick when nothing is missing."""
    needs = missing(purposes)
    if not needs:
        return
    step("missing: " + "; ".join(need.what for need in needs))
    if no_install:
        commands = "\n".join(f"  {need.command}" for need in needs)
        raise Refusal(f"--no-install: nothing was installed. These commands would bring what is missing:\n{commands}", 3)
    TOOLS.mkdir(exist_ok=True)
    with open(TOOLS / "lock", "w") as lock:  # two ./dev at once must not fill .tools together
        fcntl.flock(lock, fcntl.LOCK_EX)
        for need in needs:
            step(f"installing {need.what}")
            begin = time.monotonic()
            need.install()
            say(f"    {time.monotonic() - begin:.0f} s", "dim")
    say("everything needed is installed", "green")
