"""RPC in brief: CPU per unary call of an echo server on lib/sky/rpc (inline handler and workers), beside the bare C core and grpc-go. The same
client loads all. The target of 13 µs was set where the bare core took 10.6; machines differ, so it is that ratio that is asked for."""

from dataclasses import replace

from dev.bench import load
from dev.bench.load import Measured, Shape
from dev.bench.measure import Result, Samples
from dev.bench.servers import serving
from dev.bench.setting import Setting

SUMMARY = "RPC echo: lib/sky/rpc beside the bare core and grpc-go"
TARGET = 13 / 10.6
BARE, INLINE, WORKERS, GO = "bare core", "lib/sky/rpc inline", "lib/sky/rpc workers", "grpc-go"


def run(setting: Setting) -> list[Result]:
    shape = Shape("Echo", 64, setting.scale(60_000), 12)
    programs = {BARE: setting.build / "tests/bench/bench-bare-server", INLINE: setting.build / "tests/bench/bench-echo-server",
                WORKERS: setting.build / "tests/bench/bench-echo-server", GO: setting.peers / "echo"}
    measured: dict[str, list[Measured]] = {name: [] for name in programs}
    for _ in setting.rounds("echo"):
        for name, program in programs.items():
            called = replace(shape, method="Work") if name == WORKERS else shape
            with serving(name.replace("/", "-").replace(" ", "-"), lambda address: [str(program), address], setting.folder) as (process, address):
                measured[name].append(load.run(setting.build / "tests/bench/bench-echo-load", address, called, process.pid))
    return results(measured)


def _samples(rounds: list[Measured], field: str) -> Samples:
    return Samples([getattr(one, field) for one in rounds])


def results(measured: dict[str, list[Measured]]) -> list[Result]:
    cpu = {name: _samples(rounds, "server_us") for name, rounds in measured.items()}
    rows = [Result(f"echo, {name}: server CPU", cpu[name].median, "µs/call",
                   f"{_samples(rounds, 'rate'):.0f}/s, p50 {_samples(rounds, 'p50_us'):.0f} µs, p99 {_samples(rounds, 'p99_us'):.0f} µs, {cpu[name].spread()}")
            for name, rounds in measured.items()]
    against = [(INLINE, BARE, TARGET), (WORKERS, BARE, None), (INLINE, GO, 1.0), (WORKERS, GO, 1.0)]
    return rows + [Result(f"echo, {ours} / {peer}", cpu[ours].median / cpu[peer].median, "×", at_most=limit) for ours, peer, limit in against]
