"""A need: something that is missing, with the exact command that brings it and the code that runs it."""

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Sequence

from dev.term import Refusal, say


@dataclass(frozen=True)
class Need:
    what: str  # "Debian packages: gcc meson"
    command: str  # as a user would type it
    install: Callable[[], None]


def run(command: Sequence[str], **options) -> None:
    """Runs a command of an installation; its output is the user's to see. Refuses with the command when it fails."""
    say("    " + shlex.join(map(str, command)), "dim")
    if subprocess.run(command, **options).returncode != 0:
        raise Refusal(f"failed: {shlex.join(map(str, command))}")


def run_logged(command: Sequence[str], log: Path) -> None:
    """As run(), for a talkative command: its output goes to a file, and its end is shown when it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "wb") as file:
        code = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT).returncode
    if code != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
        raise Refusal(f"{tail}\nfailed; all of it is in {log}")


def as_root(command: Sequence[str]) -> list[str]:
    """The command, through sudo when we are not root; proxy settings stay."""
    if os.geteuid() == 0:
        return list(command)
    return ["sudo", "--preserve-env=http_proxy,https_proxy,no_proxy,HTTP_PROXY,HTTPS_PROXY,NO_PROXY", *command]
