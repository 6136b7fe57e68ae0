"""Where things are. Everything ./dev makes lives in the project's folder: .tools (installed), build* (compiled), .run (running)."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools"
TOOLS_BIN = TOOLS / "bin"
VENV = TOOLS / "venv"
BUILD = ROOT / "build"
RUN = ROOT / ".run"
DEMO_RUN = RUN / "demo"  # so that the demo's empty stores leave those of `up` alone
