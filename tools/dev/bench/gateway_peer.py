"""grpc-gateway's side of the gateway bench: Go code by its own generator, compiled at the first use and after a change, by ./dev bench alone."""

import json
from pathlib import Path

from dev.golang import run_go
from dev.needs import run
from dev.paths import ROOT, TOOLS
from dev.stamps import Stamp

_SOURCE = ROOT / "tools/bench/grpcgateway"
_PROTO = ROOT / "tests/bench/echo.proto"
_GENERATED = TOOLS / "bench-gateway"
# The contract and what it imports that no Go module brings: the Go package of each.
_CONTRACTS = {"echo.proto": "echo", "sky/options/v1/options.proto": "options"}


def compile_peer(folder: Path) -> Path:
    """The program; folder: where it and the generators are."""
    program = folder / "grpcgateway"
    stamp = Stamp("bench-gateway", [_PROTO, _SOURCE / "main.go", folder / "protoc-gen-grpc-gateway", Path(__file__)], program)
    if not stamp.holds():
        _generate(folder)
        # The generated packages stand beside main.go for the compiler alone.
        overlay = _GENERATED / "overlay.json"
        overlay.write_text(json.dumps({"Replace": _overlaid()}))
        run_go(["build", "-trimpath", "-ldflags=-s -w", f"-overlay={overlay}", "-o", str(program), "./bench/grpcgateway"])
        stamp.set()
    return program


def _generate(plugins: Path) -> None:
    _GENERATED.mkdir(parents=True, exist_ok=True)
    packages = ",".join(f"M{name}=skyhook/tools/bench/grpcgateway/{package}" for name, package in _CONTRACTS.items())
    command = ["protoc", *(f"-I{path}" for path in (_PROTO.parent, ROOT / "proto", TOOLS / "proto"))]
    for plugin in ("go", "go-grpc", "grpc-gateway"):
        command += [f"--plugin={plugins / f'protoc-gen-{plugin}'}", f"--{plugin}_out={_GENERATED}", f"--{plugin}_opt=paths=source_relative,{packages}"]
    run([*command, *_CONTRACTS])


def _overlaid() -> dict[str, str]:
    made = {}
    for name, package in _CONTRACTS.items():
        contract = _GENERATED / name
        for path in contract.parent.glob(f"{contract.stem}*.go"):
            made[str(_SOURCE / package / path.name)] = str(path)
    return made
