"""Gateway: CPU per unary GET that becomes a gRPC call, beside grpc-gateway in front of the same backend."""

import os
from pathlib import Path

from dev.bench import wrk
from dev.bench.measure import Result, Samples, cpu_seconds
from dev.bench.servers import serving
from dev.bench.setting import Setting
from dev.services import program
from dev.templates import fill

SUMMARY = "gateway GET: nginx module beside grpc-gateway"
_SECONDS = 5.0


def run(setting: Setting) -> list[Result]:
    cpu = {"skyhook": Samples(), "grpc-gateway": Samples()}
    reports: dict[str, list[wrk.Report]] = {name: [] for name in cpu}
    with serving("backend", lambda address: [str(setting.build / "tests/bench/bench-echo-server"), address], setting.folder) as (_, backend):
        candidates = {
            "skyhook": lambda address: _nginx(setting, address, backend),
            "grpc-gateway": lambda address: [str(setting.peers / "grpcgateway"), address, backend],
        }
        for _ in setting.rounds("gateway"):
            for name, command in candidates.items():
                with serving(name, command, setting.folder) as (process, address):
                    _load(setting, address, 0.5)
                    before = cpu_seconds(process.pid)
                    report = _load(setting, address, 1.0)
                    cpu[name].add((cpu_seconds(process.pid) - before) / report.requests * 1e6)
                    reports[name].append(report)

    def detail(name: str) -> str:
        best = max(reports[name], key=lambda report: report.rate)
        return f"{best.rate:.0f}/s, p50 {best.p50_us:.0f} µs, p99 {best.p99_us:.0f} µs, {cpu[name].spread()}"

    return [
        *(Result(f"gateway GET, {name}: CPU", samples.median, "µs/request", detail(name)) for name, samples in cpu.items()),
        Result("gateway GET, skyhook / grpc-gateway", cpu["skyhook"].median / cpu["grpc-gateway"].median, "×", at_most=1 / 3),
    ]


def _load(setting: Setting, address: str, part: float) -> wrk.Report:
    seconds = _SECONDS * part * (0.4 if setting.quick else 1.0)
    report = wrk.run(f"http://{address}/v1/echo/hello-drone", seconds, setting.folder)
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
