"""Debian packages: which are missing, and their installation without recommended extras and without starting anything."""

import os
import shlex
import shutil
import subprocess
from typing import Iterable

from dev.needs import Need, as_root, run, run_logged
from dev.paths import TOOLS
from dev.requirements import DEBIAN, SYSTEM_SERVICES

# While policy-rc.d says 101 no package's script starts a service. One that the machine already has is left alone.
_INSTALL = """
set -e
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\\nexit 101\\n' >"$policy"
  chmod 755 "$policy"
fi
apt-get update -q
apt-get install -q -y --no-install-recommends "$@"
"""


def wanted(purposes: Iterable[str]) -> list[str]:
    """Package names, sorted and once each."""
    return sorted({name for purpose in purposes for name in DEBIAN[purpose]})


def _installed(names: list[str]) -> set[str]:
    answer = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n", *names],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return {line.split()[1] for line in answer.stdout.splitlines() if line.startswith("installed ")}


def _install(names: list[str]) -> None:
    if os.geteuid() != 0:
        run(["sudo", "-v"])  # asks for the password here, not into the log
    run_logged(as_root(["sh", "-c", _INSTALL, "install", *names]), TOOLS / "apt.log")
    units = [unit for package, unit in SYSTEM_SERVICES.items() if package in names]
    if units and shutil.which("systemctl"):
        run(as_root(["systemctl", "disable", "--quiet", *units]))


def missing(purposes: Iterable[str]) -> list[Need]:
    names = wanted(purposes)
    present = _installed(names)
    absent = [name for name in names if name not in present]
    if not absent:
        return []
    command = shlex.join(as_root(["apt-get", "install", "--no-install-recommends", *absent]))
    return [Need("Debian packages: " + " ".join(absent), command, lambda: _install(absent))]
