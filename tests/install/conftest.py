"""What an outsider has: the rpc framework installed in a folder of its own, and pkg-config that finds it there."""

import os
import subprocess
from pathlib import Path

import pytest

from support.contracts import build


class Installation:
    def __init__(self, prefix: Path):
        self.prefix = prefix
        found = sorted(prefix.rglob("skyhook-rpc.pc"))
        assert len(found) == 1, found
        self.environment = {**os.environ, "PKG_CONFIG_PATH": str(found[0].parent)}

    def run(self, *command: str, cwd: Path, **environment: str) -> str:
        """Standard output of a command that must succeed."""
        done = subprocess.run(command, cwd=cwd, env={**self.environment, **environment}, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture(scope="session")
def installation(tmp_path_factory) -> Installation:
    """Installed from the build under test, then moved: nothing in it may know where it was meant to be."""
    folder = tmp_path_factory.mktemp("install")
    subprocess.run(["meson", "install", "-C", str(build()), "--no-rebuild", "--quiet", "--tags", "devel", "--destdir", str(folder)],
                   check=True, stdout=subprocess.DEVNULL)
    prefix = next(folder.rglob("include")).parent
    return Installation(prefix.rename(folder / "moved"))
