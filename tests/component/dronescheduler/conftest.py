"""A drone scheduler of its own for each test, and simulators of it."""

from typing import Iterator

import pytest
from support.contracts import build
from support.dronescheduler import Scheduler
from support.programs import Program, free_port


@pytest.fixture
def scheduler(tmp_path) -> Iterator[Scheduler]:
    running = Scheduler(tmp_path)
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture
def simulator(scheduler, tmp_path):
    """Starts simulators of this scheduler."""
    started: list[Program] = []

    def start(*arguments: str) -> Program:
        admin = free_port()
        command = [str(build() / "tools/simulator/skyhook-simulator"), *arguments]
        program = Program(command, {"SKY_ADMIN": f"127.0.0.1:{admin}", "SKY_DRONESCHEDULER_ADDRESS": scheduler.address,
                                    "SKY_LOG_LEVEL": "warn"}, tmp_path, "simulator", admin)
        started.append(program.start())
        return program

    yield start
    codes = [program.stop() for program in started]
    assert not any(codes), [program.tail() for program, code in zip(started, codes) if code]
