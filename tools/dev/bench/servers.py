"""Servers under measurement: started on a free port, ended at the end."""

import os
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

from dev import health, ports
from dev.process import Process
from dev.term import Refusal
from dev.waiting import eventually


@contextmanager
def serving(name: str, command: Callable[[str], list[str]], folder: Path) -> Iterator[tuple[Process, str]]:
    """The process and its address; command is given the address it must listen on."""
    (port,) = ports.pick(1)
    address = f"{ports.HOST}:{port}"
    process = Process(name, command(address), os.environ, folder / f"{name}.log", folder)
    process.start()
    try:
        if not eventually(lambda: health.answer(port, "")[0] or not process.alive(), 10.0) or not process.alive():
            raise Refusal(f"{name} did not start: {process.log.read_text(errors='replace')[-500:]}")
        yield process, address
    finally:
        process.stop(signal.SIGTERM, 5.0)
