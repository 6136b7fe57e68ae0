"""Configures and compiles with meson and ninja. Flavours are build folders: the normal one and those with sanitizers."""

import os
import subprocess
from pathlib import Path

from dev.paths import ROOT, TOOLS, TOOLS_BIN
from dev.term import Refusal, say

# Folder below the project -> options of `meson setup`. Under sanitizers gcc sees paths that instrumentation made up and warns of them, so
# warnings are errors in the normal build only.
FLAVOURS = {
    "build": [],
    "build-asan": ["-Db_sanitize=address,undefined", "-Dwerror=false"],
    "build-tsan": ["-Db_sanitize=thread", "-Dwerror=false"],
}

# Set-up makes tests of it when it is there.
LOOKED_FOR = TOOLS / "conformance-proto"


def environment() -> dict[str, str]:
    """The project's own tools come first on PATH, for compiling as for testing."""
    return {**os.environ, "PATH": f"{TOOLS_BIN}{os.pathsep}{os.environ['PATH']}"}


def configure(flavour: str = "build", extra: list[str] | None = None) -> Path:
    """Makes the build folder unless it is there; ninja itself notices changed meson.build files later, but not what is installed later."""
    folder = ROOT / flavour
    if not (folder / "build.ninja").exists():
        _run(["meson", "setup", *FLAVOURS[flavour], *(extra or []), str(folder), str(ROOT)])
    elif _is_newer(LOOKED_FOR, folder / "build.ninja"):
        _run(["meson", "setup", "--reconfigure", str(folder), str(ROOT)])
    return folder


def _is_newer(installed: Path, made: Path) -> bool:
    return installed.exists() and installed.lstat().st_mtime_ns > made.stat().st_mtime_ns


def compile_all(folder: Path, targets: tuple[str, ...] = (), niced: bool = False) -> None:
    """Compiles; says nothing but ninja's progress. Refuses when it fails."""
    nice = ["nice", "-n", "10"] if niced else []
    _run([*nice, "ninja", "-C", str(folder), *targets])


def _run(command: list[str]) -> None:
    if subprocess.run(command, cwd=ROOT, env=environment(), check=False).returncode != 0:
        say(" ".join(command), "dim")
        raise Refusal("the build failed")
