"""The project's own source files, as git knows them (committed or new, but not ignored)."""

import subprocess
from pathlib import Path

from dev.paths import ROOT


def files(*patterns: str) -> list[Path]:
    """Paths relative to the project, of files that exist and match one of the git patterns ("*.c")."""
    answer = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns],
                            cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return sorted(Path(name) for name in set(answer.stdout.split("\0")) if name and (ROOT / name).is_file())
