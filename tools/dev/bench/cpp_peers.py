"""The peers in C++ (tests/bench/peers, on Debian's libgrpc++): compiled at the first use and after a change, by ./dev bench alone."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dev.needs import run
from dev.paths import ROOT, TOOLS
from dev.stamps import Stamp

_SOURCES = ROOT / "tests/bench/peers"
_PROTO = ROOT / "tests/bench/echo.proto"
_CONTRACTS = ("echo.proto", "google/api/annotations.proto", "google/api/http.proto", "sky/options/v1/options.proto")
_COMPILE = ("g++", "-std=c++17", "-O2")
# libgrpc++ names the libraries it stands on itself.
_LIBRARIES = ("-Wl,--copy-dt-needed-entries", "-lgrpc++", "-lprotobuf")


def compile_all(folder: Path) -> None:
    """Makes echo-cpp-server and echo-cpp-load in the folder."""
    programs = {source: folder / source.stem.replace("echo_", "echo-cpp-") for source in sorted(_SOURCES.glob("*.cpp"))}
    stamp = Stamp("bench-cpp", [_PROTO, *programs, Path(__file__)], folder / "echo-cpp-server")
    if stamp.holds():
        return
    generated = TOOLS / "bench-cpp"
    generated.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    includes = [f"-I{path}" for path in (_PROTO.parent, ROOT / "proto", TOOLS / "proto")]
    run(["protoc", *includes, f"--cpp_out={generated}", f"--grpc_out={generated}", "--plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin", *_CONTRACTS])
    units = [*(generated / name.replace(".proto", ".pb.cc") for name in _CONTRACTS), generated / "echo.grpc.pb.cc", *programs]
    objects = {unit: generated / f"{unit.name}.o" for unit in units}
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda unit: run([*_COMPILE, f"-I{generated}", "-c", "-o", str(objects[unit]), str(unit)]), units))
    common = [str(objects[unit]) for unit in units if unit not in programs]
    for source, program in programs.items():
        run([*_COMPILE, "-o", str(program), str(objects[source]), *common, *_LIBRARIES])
    stamp.set()
