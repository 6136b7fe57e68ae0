"""Entry of `python3 tools/dev`: makes the folder importable as the package `dev`."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from dev.cli import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
