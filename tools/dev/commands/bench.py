"""Measures, with CPU time per operation and latencies, beside peers in the same run, and says which targets were met:

  echo        RPC echo server on lib/sky/rpc beside the bare C core and grpc-go
  rpc         unary calls and streams, few and many at once, servers and clients, beside the bare C core, gRPC C++ and grpc-go
  gateway     unary GET through the gateway beside grpc-gateway
  processes   start-up time and idle memory of each service
  main_job    accepted requests/s and completed workflows/s of the whole system

The report also goes to .run/bench/report.json.
"""

import importlib
import json
import os
import platform
import shutil
import time

from dev import build, install
from dev.bench.measure import Result
from dev.bench.setting import Setting
from dev.paths import BUILD, RUN, TOOLS_BIN
from dev.term import Refusal, coloured, paint, say, step, table

SUMMARY = "measure, beside peers"
SUBJECTS = ("echo", "rpc", "gateway", "processes", "main_job")
_FOLDER = RUN / "bench"


def add_arguments(parser) -> None:
    parser.add_argument("subject", nargs="*", metavar="SUBJECT", help="only these: " + ", ".join(SUBJECTS))
    parser.add_argument("--quick", action="store_true", help="one short round each: shows that it works, not how fast it is")


def _report(results: list[Result]) -> None:
    rows = table([["measured", "value", "target", "", "detail"], *(result.row() for result in results)])
    print("\n" + rows[0])
    for result, row in zip(results, rows[1:]):
        style = {None: (), True: ("green",), False: ("red",)}[result.met]
        print(paint(row, *style, enabled=coloured()))
    machine = {"machine": platform.machine(), "cpus": os.cpu_count(), "kernel": platform.release(), "time": time.strftime("%FT%TZ", time.gmtime())}
    (_FOLDER / "report.json").write_text(json.dumps({**machine, "results": [vars(result) | {"met": result.met} for result in results]}, indent=1))


def run(options) -> int:
    unknown = [name for name in options.subject if name not in SUBJECTS]
    if unknown:
        raise Refusal(f"no such subject: {', '.join(unknown)} (there are {', '.join(SUBJECTS)})", 2)
    install.ensure(["build", "bench"], options.no_install)
    step("compiling")
    build.compile_all(build.configure())
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(parents=True)
    setting = Setting(BUILD, TOOLS_BIN / "bench", _FOLDER, options.quick)
    results: list[Result] = []
    for name in options.subject or SUBJECTS:
        subject = importlib.import_module(f"dev.bench.{name}")
        step(subject.SUMMARY)
        results += subject.run(setting)
    _report(results)
    missed = sum(result.met is False for result in results)
    say(f"{missed} targets missed" if missed else "all targets met", "yellow" if missed else "green")
    return 0
