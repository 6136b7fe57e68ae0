"""RPC in full: unary calls and streams, few and many at once, on the bare C core, on lib/sky/rpc (inline handlers and workers), on gRPC for
C++ and on grpc-go. The same client, ours, loads every server; for the clients' figures each framework's own loads our server.

CPU is told per call, and per message of a stream. All servers stand side by side; in each round one row after the other is measured on each
of them in turn, so that a ratio is of measurements a second apart, and the median of the rounds' ratios is told. The targets: our inline unary
handlers cost at most a tenth more than the bare core, our servers less than both peers' in every row, and our client less than both in unary
calls. (To the bare core's streams there is a ratio without a target: it sends the same bytes again and again, and packs nothing. Streams read by
our client have none either: the core's own work for a message is as much as grpc-go's in all.)
"""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Callable

from dev.bench import cpp_peers, load
from dev.bench.load import Measured, Shape
from dev.bench.measure import Result, Samples
from dev.bench.servers import serving
from dev.bench.setting import Setting
from dev.process import resident_kib

SUMMARY = "RPC: unary and streaming on the bare core, lib/sky/rpc, gRPC C++ and grpc-go"
BARE, INLINE, WORKERS, CPP, GO = "bare core", "inline", "workers", "gRPC C++", "grpc-go"
PEERS = (CPP, GO)
OURS = {INLINE: "Echo", WORKERS: "Work"}
AT_ONCE = (1, 64, 512)

# Calls of one measurement at 1, 64 and 512 in flight: about a second each.
_UNARY_CALLS = (4_000, 20_000, 20_000)
_STREAMS = (4, 64, 512)
_MESSAGES_OF_ALL_STREAMS = 160_000
_STREAM = "stream"
_ROUNDS = 7

Rows = dict[str, dict[str, list[Measured]]]  # row, candidate: rounds


def shapes(setting: Setting) -> dict[str, Shape]:
    unary = {f"{label}, {n} at once": Shape("Echo", n, setting.scale(calls), size)
             for label, size in (("100 B", 100), ("10 kB", 10_000)) for n, calls in zip(AT_ONCE, _UNARY_CALLS)}
    streams = {f"{_STREAM} of 100 B, {n} at once": Shape("Repeat", n, calls, 100, setting.scale(_MESSAGES_OF_ALL_STREAMS) // calls)
               for n, calls in zip(AT_ONCE, _STREAMS)}
    return unary | streams


def _servers(setting: Setting) -> dict[str, Path]:
    return {BARE: setting.build / "tests/bench/bench-bare-server", INLINE: setting.build / "tests/bench/bench-echo-server",
            CPP: setting.peers / "echo-cpp-server", GO: setting.peers / "echo"}


def _clients(setting: Setting) -> dict[str, Path]:
    return {INLINE: setting.build / "tests/bench/bench-echo-load", CPP: setting.peers / "echo-cpp-load", GO: setting.peers / "load"}


def _command(program: Path) -> Callable[[str], list[str]]:
    return lambda address: [str(program), address]


def run(setting: Setting) -> list[Result]:
    cpp_peers.compile_all(setting.peers)
    rows = shapes(setting)
    servers: Rows = {row: {} for row in rows}
    clients: Rows = {row: {} for row in rows}
    memory: dict[str, Samples] = {}
    for _ in setting.rounds("rpc", _ROUNDS):
        with ExitStack() as stack:
            running = {name: stack.enter_context(serving(name.replace(" ", "-"), _command(program), setting.folder))
                       for name, program in _servers(setting).items()}
            for row, shape in rows.items():
                for name, (process, address) in running.items():
                    _measure_server(setting, name, row, shape, address, process.pid, servers)
            for name, (process, _) in running.items():
                memory.setdefault(name, Samples()).add(resident_kib(process.pid) / 1024)
            process, address = running[INLINE]
            for row, shape in rows.items():
                for name, program in _clients(setting).items():
                    clients[row].setdefault(name, []).append(load.run(program, address, shape, process.pid))
    return [*server_results(servers), *client_results(clients), *(
        Result(f"rpc, {name}: resident after all of it", samples.median, "MB", samples.spread()) for name, samples in memory.items())]


def _measure_server(setting: Setting, name: str, row: str, shape: Shape, address: str, pid: int, ret_rows: Rows) -> None:
    program = _clients(setting)[INLINE]
    ret_rows[row].setdefault(name, []).append(load.run(program, address, shape, pid))
    if name == INLINE and shape.method == "Echo":
        ret_rows[row].setdefault(WORKERS, []).append(load.run(program, address, replace(shape, method=OURS[WORKERS]), pid))


def _samples(rounds: list[Measured], field: str) -> Samples:
    return Samples([getattr(measured, field) for measured in rounds])


def _detail(rounds: list[Measured], cpu: str) -> str:
    rate, p50, p99 = (_samples(rounds, field) for field in ("rate", "p50_us", "p99_us"))
    return f"{rate:.0f}/s, p50 {p50:.0f} µs, p99 {p99:.0f} µs, {_samples(rounds, cpu).spread()}"


def _medians(rounds: dict[str, list[Measured]], cpu: str) -> dict[str, float]:
    return {name: _samples(measured, cpu).median for name, measured in rounds.items()}


def server_results(rows: Rows) -> list[Result]:
    """Every server of every row; ours with its targets."""
    results = []
    for row, rounds in rows.items():
        medians = _medians(rounds, "server_us")
        cheapest_peer = min(medians[name] for name in PEERS)
        for name, value in medians.items():
            limit = round(cheapest_peer, 1) if name in OURS else None
            results.append(Result(f"rpc server, {row}: {name}", value, "µs", _detail(rounds[name], "server_us"), at_most=limit))
        at_most = None if row.startswith(_STREAM) else 1.1
        for name in OURS:
            if name in rounds and BARE in rounds:
                ratios = Samples([ours.server_us / bare.server_us for ours, bare in zip(rounds[name], rounds[BARE])])
                results.append(Result(f"rpc server, {row}: {name} / bare", ratios.median, "×", f"{min(ratios.values):.2f}–{max(ratios.values):.2f}",
                                      at_most=at_most if name == INLINE else None))
    return results


def client_results(rows: Rows) -> list[Result]:
    results = []
    for row, rounds in rows.items():
        medians = _medians(rounds, "client_us")
        cheapest_peer = min(medians[name] for name in PEERS)
        for name, value in medians.items():
            is_ours = name == INLINE
            label = "lib/sky/rpc" if is_ours else name
            limit = round(cheapest_peer, 1) if is_ours and not row.startswith(_STREAM) else None
            results.append(Result(f"rpc client, {row}: {label}", value, "µs", _detail(rounds[name], "client_us"), at_most=limit))
    return results
