"""Gateway: CPU per unary GET that becomes a gRPC call, beside grpc-gateway in front of the same backend; one client, some and many at once.

All stand side by side and are loaded in turn, so that a ratio is of measurements some seconds apart; the median of the rounds' ratios is told.
The target is held against the peer that does the same job: deadline and trace context for every request, as our gateway does. The bare peer,
which does neither, is shown beside it.
"""

import os
from contextlib import ExitStack
from pathlib import Path

from dev.bench import wrk
from dev.bench.gateway_peer import compile_peer
from dev.bench.measure import Result, Samples, cpu_seconds
from dev.bench.servers import serving
from dev.bench.setting import Setting
from dev.services import program
from dev.templates import fill

SUMMARY = "gateway GET: nginx module beside grpc-gateway"
OURS, PEER, BARE = "skyhook", "grpc-gateway", "bare grpc-gateway"
CONNECTIONS = (1, 32, 256)
_WARM_UP, _SECONDS = 1.0, 3.0

Measured = tuple[float, wrk.Report]  # CPU in us per request
Rows = dict[int, dict[str, list[Measured]]]  # connections, candidate: rounds


def run(setting: Setting) -> list[Result]:
    peer = str(compile_peer(setting.peers))
    rows: Rows = {connections: {OURS: [], PEER: [], BARE: []} for connections in CONNECTIONS}
    with ExitStack() as stack:
        _, backend = stack.enter_context(
            serving("backend", lambda address: [str(setting.build / "tests/bench/bench-echo-server"), address], setting.folder))
        candidates = {
            OURS: stack.enter_context(serving(OURS, lambda address: _nginx(setting, address, backend), setting.folder)),
            PEER: stack.enter_context(serving(PEER, lambda address: [peer, address, backend], setting.folder)),
            BARE: stack.enter_context(serving(BARE, lambda address: [peer, "-bare", address, backend], setting.folder)),
        }
        for _ in setting.rounds("gateway", 5):
            for connections, row in rows.items():
                for name, (process, address) in candidates.items():
                    row[name].append(_measure(setting, process.pid, address, connections))
    return results(rows)


def results(rows: Rows) -> list[Result]:
    found = []
    for connections, row in rows.items():
        label = f"gateway GET, {connections} at once"
        for name, rounds in row.items():
            cpu = Samples([us for us, _ in rounds])
            best = max((report for _, report in rounds), key=lambda report: report.rate)
            found.append(Result(f"{label}: {name}", cpu.median, "µs/request",
                                f"{best.rate:.0f}/s, p50 {best.p50_us:.0f} µs, p99 {best.p99_us:.0f} µs, {cpu.spread()}"))
        for name, target in ((PEER, 1 / 3), (BARE, None)):
            ratios = Samples([ours / peer for (ours, _), (peer, _) in zip(row[OURS], row[name])])
            found.append(Result(f"{label}: {OURS} / {name}", ratios.median, "×", f"{min(ratios.values):.2f}–{max(ratios.values):.2f}", at_most=target))
    return found


def _measure(setting: Setting, pid: int, address: str, connections: int) -> Measured:
    _load(setting, address, connections, _WARM_UP)
    before = cpu_seconds(pid)
    report = _load(setting, address, connections, _SECONDS)
    return (cpu_seconds(pid) - before) / report.requests * 1e6, report


def _load(setting: Setting, address: str, connections: int, seconds: float) -> wrk.Report:
    report = wrk.run(f"http://{address}/v1/echo/hello-drone", seconds * (0.4 if setting.quick else 1.0), setting.folder, connections=connections)
    assert report.bad == 0, f"{report.bad} of {report.requests} requests failed"
    return report


def _nginx(setting: Setting, address: str, backend: str) -> list[str]:
    folder = setting.folder / "nginx"
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "nginx.conf"
    configuration.write_text(fill(Path(__file__).with_name("gateway.conf.in").read_text(), {
        "module": str(setting.build / "gateway/ngx_http_sky_module.so"),
        "contracts": str(setting.build / "tests/bench/bench.binpb"),
        "run": str(folder), "listen": address, "backend": backend,
        "user_directive": "user root root;" if os.geteuid() == 0 else "",
    }))
    return [program("nginx"), "-e", "stderr", "-p", str(folder), "-c", str(configuration)]
