"""Shows the main job: builds and starts the whole system, registers the example businesses, submits their delivery requests with skyctl,
and follows every delivery until its drone has brought the package. The recipients' confirmations are given too, as people would at
the door. Ends with a summary, and with exit code 1 unless all were completed.

A system that runs already (./dev up) is used and left running; otherwise the demo's own is stopped at the end.
"""

import json
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

from dev import state
from dev.api import Api, ApiError, Unavailable
from dev.board import Board, summary
from dev.build import environment
from dev.commands.up import READY_SECONDS, add_system_arguments, make_system, prepare
from dev.flights import Flights
from dev.paths import BUILD, DEMO_RUN, ROOT, RUN
from dev.session import Session, ended_by_signals
from dev.system import NotReady
from dev.term import Refusal, say, step
from dev.waiting import eventually

SUMMARY = "build, run and deliver 48 packages, live"
POLL_SECONDS = 0.4
POLL_SHARE = 3  # a poll that takes long is followed by a pause of this many times its length: watching must not be the load
PATIENCE_SECONDS = 30.0  # with a system that answers no poll
FLEET_SECONDS = 30.0


def add_arguments(parser) -> None:
    add_system_arguments(parser)
    parser.set_defaults(drones=60, time_factor=50.0)
    parser.add_argument("--requests", type=Path, default=ROOT / "examples/requests.jsonl", metavar="FILE", help="what to submit (default: examples/requests.jsonl)")
    parser.add_argument("--timeout", type=float, default=300.0, metavar="SECONDS", help="give up after this long (default: 300)")


@contextmanager
def _system(options):
    """(URL, what to do between polls) of a running system, ours or the user's."""
    running = state.running(RUN)
    if running:
        say(f"uses the running system at {running['url']}")
        yield running["url"], lambda: None
        return
    prepare(options)
    shutil.rmtree(DEMO_RUN, ignore_errors=True)  # each demo starts with empty stores
    step("starting the system")
    with Session(make_system(options, DEMO_RUN), lambda name, message: say(f"{name} {message}", "yellow")) as session:
        seconds = session.wait_ready(READY_SECONDS)
        say(f"{len(session.system.services)} processes ready in {seconds:.1f} s: {session.system.url}", "green")
        yield session.system.url, session.tick


def _read_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def _register(api: Api) -> int:
    """Creates the example accounts; those that exist already are as good."""
    accounts = _read_lines(ROOT / "examples/accounts.jsonl")
    for account in accounts:
        answer = api.post("/api/v1/accounts", account)
        if answer.status not in (201, 409):
            raise ApiError(f"account {account['id']}: {answer.detail()}")
    return len(accounts)


def _await_fleet(api: Api, tick) -> int:
    """Until the first drones have registered: without any, every request would be refused for good."""
    def registered() -> int:
        tick()
        answer = api.get("/api/v1/drones", pageSize=1000)
        return len(answer.body.get("drones", [])) if answer.status == 200 else 0

    if not eventually(registered, FLEET_SECONDS, 0.1):
        raise ApiError("no drone has registered with the scheduler")
    return registered()


def _submit(url: str, requests: Path) -> set[str]:
    """By skyctl, which shows its own progress; the ids of what was accepted."""
    command = [str(BUILD / "tools/skyctl/skyctl"), "submit", "--ids", str(requests)]
    answer = subprocess.run(command, cwd=ROOT, env={**environment(), "SKY_GATEWAY": url}, stdout=subprocess.PIPE, text=True, check=False)
    if answer.returncode != 0:
        raise Refusal("skyctl submit failed")
    return set(answer.stdout.split())


def _follow(flights: Flights, timeout: float, tick) -> None:
    """Until all are over, or the time is."""
    board, begin = Board(len(flights.ids)), time.monotonic()
    answered = begin
    try:
        while not flights.over() and time.monotonic() - begin < timeout:
            tick()
            asked = time.monotonic()
            try:
                board.update(flights.refresh(), flights.count(), asked - begin)
                for flight in flights.awaiting_proof():
                    flights.confirm(flight)  # refused while the drone is not quite there: asked again at the next poll
                answered = time.monotonic()
            except Unavailable as error:
                if time.monotonic() - answered > PATIENCE_SECONDS:
                    raise ApiError(f"no answer for {PATIENCE_SECONDS:.0f} s: {error}") from error
            time.sleep(max(POLL_SECONDS, POLL_SHARE * (time.monotonic() - asked)))
    finally:
        board.end()


def run(options) -> int:
    ended_by_signals()
    requests = _read_lines(options.requests)
    try:
        with _system(options) as (url, tick):
            api = Api(url)
            step("registering the businesses")
            say(f"{_register(api)} accounts; {_await_fleet(api, tick)} drones wait for orders")
            step(f"submitting {len(requests)} delivery requests")
            flights = Flights(api, sorted({request["ownerId"] for request in requests}), _submit(url, options.requests))
            step("flying")
            _follow(flights, options.timeout, tick)
            api.close()
    except (NotReady, ApiError, OSError) as error:
        raise Refusal(str(error)) from error
    print("\n" + "\n".join(summary(list(flights.by_id.values()))))
    completed = flights.count()["completed"]
    good = completed == len(requests)
    say(f"{completed} of {len(requests)} deliveries completed", "green" if good else "red", "bold")
    return 0 if good else 1
