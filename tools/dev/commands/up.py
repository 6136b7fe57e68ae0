"""Builds and runs the whole system in the foreground, with one readable log of all its processes. Ctrl-C ends all of them.
What it stored stays in .run/ for the next time; ./dev clean removes it.

  ./dev up --detach              in the background; then ./dev status, ./dev logs delivery -f, ./dev down
  ./dev up --store ferretdb      with documents on a MongoDB-wire server instead of SQLite files
"""

import os
import subprocess
import sys
import time

from dev import build, install, ports, state
from dev.follow import Follower
from dev.logview import LogView
from dev.paths import ROOT, RUN
from dev.services import NAMES, targets
from dev.session import Session, ended_by_signals
from dev.system import NotReady, System
from dev.term import Refusal, coloured, say, step

SUMMARY = "run the whole system"
READY_SECONDS = 60.0


def add_system_arguments(parser) -> None:
    """Options that demo shares."""
    parser.add_argument("--port", type=int, help="of the gateway (default: 8080 when it is free, else any)")
    parser.add_argument("--store", default=os.environ.get("SKY_STORE", "sqlite"), metavar="STORE",
                        help="sqlite (default), ferretdb, or a value for SKY_STORE such as mongodb://… (default: $SKY_STORE)")
    parser.add_argument("--drones", type=int, default=40, help="size of the simulated fleet (default: 40)")
    parser.add_argument("--time-factor", type=float, default=20.0, metavar="F", help="how much faster than life drones fly (default: 20)")
    parser.add_argument("--without", action="append", default=[], choices=NAMES, metavar="SERVICE",
                        help="leave this one out, to run it by hand (may be given again)")
    parser.add_argument("--no-build", action="store_true", help="run what is already built")


def add_arguments(parser) -> None:
    add_system_arguments(parser)
    parser.add_argument("--verbose", action="store_true", help="show all that broker and gateway log, not only their warnings")
    parser.add_argument("--detach", action="store_true", help="run in the background; return when it is ready")


def prepare(options) -> None:
    """Everything that must be there before the system can start."""
    install.ensure(["build", *(["ferretdb"] if options.store == "ferretdb" else [])], options.no_install)
    if not options.no_build:
        step("compiling")
        build.compile_all(build.configure(), targets())


def make_system(options, run_dir=RUN) -> System:
    if options.port and not ports.is_free(options.port):
        raise Refusal(f"port {options.port} is taken")
    return System(run_dir, store=options.store, gateway_port=options.port or ports.preferred(8080),
                  services=[name for name in NAMES if name not in options.without],
                  drones=options.drones, time_factor=options.time_factor)


def _foreground(options) -> int:
    ended_by_signals()
    system = make_system(options)
    quiet = [] if options.verbose else [name for name, service in system.services.items() if service.quiet]
    view = LogView([*system.services, "dev"], coloured(), quiet)
    follower = Follower({name: process.log for name, process in system.processes.items()}, from_start=True)

    def show() -> None:
        for line in view.sorted_lines(follower.read()):
            print(line)
        sys.stdout.flush()

    def announce(name: str, message: str) -> None:
        print(view.note("dev", f"{name} {message}"), flush=True)

    try:
        with Session(system, announce) as session:
            try:
                seconds = session.wait_ready(READY_SECONDS, show)
                show()
                say(f"ready in {seconds:.1f} s: {system.url}  (Ctrl-C ends it)", "green", "bold")
                while True:
                    session.tick()
                    show()
                    time.sleep(0.05)
            except KeyboardInterrupt:
                say("ending…", "bold")
        show()
    except NotReady as error:
        raise Refusal(str(error)) from error
    say("all ended", "green")
    return 0


def _background(options) -> int:
    RUN.mkdir(exist_ok=True)
    command = [sys.executable, str(ROOT / "tools/dev"), "up", "--no-build", "--no-install", "--store", options.store,
               "--drones", str(options.drones), "--time-factor", str(options.time_factor),
               *(["--port", str(options.port)] if options.port else []), *(f"--without={name}" for name in options.without)]
    with open(RUN / "up.log", "wb") as log:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    while child.poll() is None:
        running = state.running(RUN)
        if running and running["supervisor"]["pid"] == child.pid and running["ready"]:
            say(f"ready: {running['url']}  (./dev status, ./dev logs SERVICE -f, ./dev down)", "green", "bold")
            return 0
        time.sleep(0.05)
    tail = (RUN / "up.log").read_text(errors="replace").splitlines()[-20:]
    raise Refusal("it did not come up:\n" + "\n".join(tail))


def run(options) -> int:
    running = state.running(RUN)
    if running:
        raise Refusal(f"it runs already: {running['url']}; ./dev down ends it")
    prepare(options)
    return _background(options) if options.detach else _foreground(options)
