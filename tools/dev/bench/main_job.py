"""The whole system: delivery requests accepted per second through the gateway, and workflows completed per second (sagas finished, with the
simulator flying them), with load generator, broker and stores on the same machine."""

import json
import time

from dev.api import Api
from dev.bench import wrk
from dev.bench.measure import Result, cpu_seconds
from dev.bench.setting import Setting
from dev.system import System
from dev.term import say

SUMMARY = "accepted requests/s and completed workflows/s of the whole system"
OWNER = "bench"
_SECONDS = 10.0
_DRONES = 2000
_STILL_SECONDS = 30.0  # without a completion: nothing is left that will

# Pickup and drop-off 1 km apart, scattered over the city by the number of the request.
_SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local n = 0
function request()
  n = n + 1
  local north, east = 47.58 + (n %% 97) * 0.001, -122.38 + (n %% 89) * 0.001
  return wrk.format(nil, nil, nil, string.format(
    '{"ownerId": "%s", "packageInfo": {"weightKg": 1}, "pickupLocation": {"latitude": %%.4f, "longitude": %%.4f}, ' ..
    '"dropoffLocation": {"latitude": %%.4f, "longitude": %%.4f}}', north, east, north + 0.009, east))
end
""" % OWNER


def run(setting: Setting) -> list[Result]:
    with System(setting.folder / "main-job", build=setting.build, drones=_DRONES, time_factor=2000.0,
                environment={"SKY_LOG_LEVEL": "warn"}) as system:
        system.start()
        system.wait_ready()
        api = Api(system.url)
        answer = api.post("/api/v1/accounts", {"id": OWNER, "displayName": "Benchmark", "planId": "unlimited"})
        assert answer.status == 201, answer.detail()
        before = _cpu(system)
        begin = time.monotonic()
        report = wrk.run(f"{system.url}/api/v1/deliveryrequests", setting.scale(int(_SECONDS)), setting.folder, connections=64, script=_SCRIPT)
        assert report.bad == 0, f"{report.bad} of {report.requests} requests were refused"
        after = _cpu(system)
        results = [Result("accepted requests", report.rate, "/s", f"p50 {report.p50_us / 1e3:.1f} ms, p99 {report.p99_us / 1e3:.1f} ms", at_least=4000)]
        results += _per_operation("accepted", before, after, report.requests)
        completed, end = _drain(api, report.requests, setting.scale(300))
        seconds = end - begin
        results.append(Result("completed workflows", completed / seconds, "/s", f"{completed} in {seconds:.0f} s, {report.requests} of them answered within the load's time", at_least=300))
        results += _per_operation("completed", before, _cpu(system), max(completed, 1))
    return results


def _cpu(system: System) -> dict[str, float]:
    return {name: cpu_seconds(process.pid) for name, process in system.processes.items()}


def _per_operation(what: str, before: dict[str, float], after: dict[str, float], operations: int) -> list[Result]:
    used = {name: (after[name] - before[name]) / operations * 1e6 for name in after}
    shares = " ".join(f"{name} {value:.0f}" for name, value in sorted(used.items(), key=lambda item: -item[1]) if value >= 1)
    return [Result(f"CPU per {what} request, all processes", sum(used.values()), "µs", shares)]


def _drain(api: Api, expected: int, limit: float) -> tuple[int, float]:
    """Waits until the owner's completed deliveries are all there, or have not grown for a while; their number, and when it was seen to grow last
    (monotonic seconds, at most one look late)."""
    completed, grown = 0, time.monotonic()
    deadline = grown + limit
    while True:
        now = time.gmtime()
        answer = api.get("/api/v1/deliveries/summary", ownerId=OWNER, year=now.tm_year, month=now.tm_mon)
        if answer.status != 200:
            say(f"summary: {json.dumps(answer.body)}", "yellow")
            return completed, grown
        found = int(answer.body.get("completedCount", 0))
        if found > completed:
            completed, grown = found, time.monotonic()
        if completed >= expected or time.monotonic() > min(deadline, grown + _STILL_SECONDS):
            return completed, grown
        time.sleep(3)  # a summary reads every delivery of the month: asking often would be what is measured
