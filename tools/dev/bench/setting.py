"""What a benchmark is given: where the programs are, how long it may take."""

from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

from dev.term import say


@dataclass(frozen=True)
class Setting:
    build: Path
    peers: Path  # programs to compare with
    folder: Path  # for logs and stores
    quick: bool = False

    def scale(self, count: int) -> int:
        return max(count // 10, 1) if self.quick else count

    def rounds(self, name: str, count: int = 3) -> Iterator[int]:
        count = 1 if self.quick else count
        for i in range(count):
            say(f"    {name}: round {i + 1} of {count}", "dim")
            yield i
