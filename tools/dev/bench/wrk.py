"""HTTP load by wrk (Debian package), with what it reports."""

import json
import math
import subprocess
from dataclasses import dataclass
from pathlib import Path

_DONE = """
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('\\nREPORT {"requests": %d, "seconds": %f, "p50_us": %f, "p99_us": %f, "bad": %d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.timeout + errors.status))
end
"""


@dataclass(frozen=True)
class Report:
    requests: int
    seconds: float
    p50_us: float
    p99_us: float
    bad: int  # failed, or answered with 400 and above

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def run(url: str, seconds: float, folder: Path, *, connections: int = 32, threads: int = 1, script: str = "") -> Report:
    """script: Lua that sets up the request. wrk takes whole seconds: the next."""
    path = folder / "wrk.lua"
    path.write_text(script + _DONE)
    command = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{math.ceil(seconds)}s", "-s", str(path), url]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    report = next(line for line in output.splitlines() if line.startswith("REPORT "))
    return Report(**json.loads(report.removeprefix("REPORT ")))
