"""The workflow service as a process of its own, with a real nats-server and SQLite; its peers are played by peers.py."""

import sys
from pathlib import Path

import pytest

# importlib mode gives test folders no path of their own.
sys.path.insert(0, str(Path(__file__).parent))
from rig import Rig  # noqa: E402


@pytest.fixture
def rig(tmp_path):
    rig = Rig(tmp_path)
    try:
        rig.start()
        yield rig
    finally:
        rig.stop()
