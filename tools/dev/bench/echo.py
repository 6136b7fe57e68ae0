"""RPC: CPU per unary call of an echo server on lib/sky/rpc, beside one on grpc-go. The same client loads both."""

import json
import subprocess

from dev.bench.measure import Result, Samples, cpu_seconds
from dev.bench.servers import serving
from dev.bench.setting import Setting

SUMMARY = "RPC echo: lib/sky/rpc beside grpc-go"
IN_FLIGHT = 64


def run(setting: Setting) -> list[Result]:
    calls = setting.scale(100_000)
    candidates = {
        "lib/sky/rpc": lambda address: [str(setting.build / "tests/bench/bench-echo-server"), address],
        "grpc-go": lambda address: [str(setting.peers / "echo"), address],
    }
    cpu = {name: Samples() for name in candidates}
    rate, p50, p99 = ({name: Samples() for name in candidates} for _ in range(3))
    for _ in setting.rounds("echo"):
        for name, command in candidates.items():
            with serving(name.replace("/", "-"), command, setting.folder) as (process, address):
                _load(setting, address, calls // 10)  # warm up
                before = cpu_seconds(process.pid)
                report = _load(setting, address, calls)
                cpu[name].add((cpu_seconds(process.pid) - before) / calls * 1e6)
                rate[name].add(calls / report["seconds"])
                p50[name].add(report["p50_us"])
                p99[name].add(report["p99_us"])
    ours, peer = candidates
    detail = {name: f"{rate[name]:.0f}/s, p50 {p50[name]:.0f} µs, p99 {p99[name]:.0f} µs, {cpu[name].spread()}" for name in candidates}
    return [
        Result(f"echo, {ours}: server CPU", cpu[ours].median, "µs/call", detail[ours], at_most=13),
        Result(f"echo, {peer}: server CPU", cpu[peer].median, "µs/call", detail[peer]),
        Result(f"echo, {ours} / {peer}", cpu[ours].median / cpu[peer].median, "×"),
    ]


def _load(setting: Setting, address: str, calls: int) -> dict:
    command = [str(setting.build / "tests/bench/bench-echo-load"), address, str(calls), str(IN_FLIGHT)]
    report = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    assert report["failed"] == 0, f"{report['failed']} calls failed"
    return report
