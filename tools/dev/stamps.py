"""Stamps: remember what an installed thing was made from, so that the next use need not look again.

A stamp is a small file .tools/stamps/<name> with the hash of the thing's inputs. It holds as long as the inputs hash the same and the
product still exists.
"""

import hashlib
from pathlib import Path
from typing import Iterable

from dev.paths import TOOLS


def digest(inputs: Iterable["str | Path"]) -> str:
    """Hash of texts and of the contents of files, in order; each part is framed so that parts cannot run into one another."""
    total = hashlib.sha256()
    for part in inputs:
        data = part.read_bytes() if isinstance(part, Path) else part.encode()
        total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()


class Stamp:
    def __init__(self, name: str, inputs: Iterable["str | Path"], product: Path, folder: Path = TOOLS / "stamps"):
        self._file = folder / name
        self._digest = digest(inputs)
        self._product = product

    def holds(self) -> bool:
        try:
            return self._file.read_text() == self._digest and self._product.exists()
        except FileNotFoundError:
            return False

    def set(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(self._digest)
