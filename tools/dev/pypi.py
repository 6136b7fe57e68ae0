"""Python packages: a virtual environment in .tools/venv, filled from tools/python/*.txt, and the .proto files that one of them carries."""

import shutil
import sys
from pathlib import Path
from typing import Iterable

from dev.needs import Need, run
from dev.paths import ROOT, TOOLS, VENV
from dev.stamps import Stamp

PIP = [str(VENV / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]


def make_venv() -> None:
    if not (VENV / "bin/pip").exists():
        run([sys.executable, "-m", "venv", "--clear", str(VENV)])


def requirements_file(purpose: str) -> Path:
    return ROOT / f"tools/python/{purpose}.txt"


def _stamp(purpose: str) -> Stamp:
    return Stamp(f"python-{purpose}", [requirements_file(purpose)], VENV / "bin/pip")


def _google_protos() -> None:
    """Copies google/api and google/rpc where protoc is told to look: the packages' folders hold generated Python as well."""
    packages = next(VENV.glob("lib/python3.*/site-packages"))
    for folder in ("google/api", "google/rpc"):
        target = TOOLS / "proto" / folder
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(packages / folder, target, ignore=lambda path, names: [
            name for name in names if not name.endswith(".proto") and not (Path(path) / name).is_dir() or name == "__pycache__"])


def _install(purpose: str) -> None:
    make_venv()
    run([*PIP, "-r", str(requirements_file(purpose))])
    if purpose == "build":
        _google_protos()
    _stamp(purpose).set()


def missing(purposes: Iterable[str]) -> list[Need]:
    needs = []
    for purpose in purposes:
        path = requirements_file(purpose)
        if path.exists() and not _stamp(purpose).holds():
            command = f"python3 -m venv .tools/venv && .tools/venv/bin/pip install -r {path.relative_to(ROOT)}"
            needs.append(Need(f"Python packages of {path.relative_to(ROOT)}", command, lambda purpose=purpose: _install(purpose)))
    return needs
