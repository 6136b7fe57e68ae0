"""What ./dev says: plain lines, coloured only on a terminal (and never with NO_COLOR)."""

import os
import sys

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "magenta": "35", "cyan": "36"}


class Refusal(Exception):
    """Something the user must decide or mend; the message says what. Ends ./dev without a traceback."""

    def __init__(self, message: str, code: int = 1):
        super().__init__(message)
        self.code = code


def coloured(stream=None) -> bool:
    return (stream or sys.stdout).isatty() and "NO_COLOR" not in os.environ


def paint(text: str, *styles: str, enabled: bool = True) -> str:
    codes = ";".join(_CODES[style] for style in styles)
    return f"\x1b[{codes}m{text}\x1b[0m" if enabled and codes else text


def say(text: str, *styles: str) -> None:
    print(paint(text, *styles, enabled=coloured()), flush=True)


def step(text: str) -> None:
    """Announces the next piece of work."""
    say(f"==> {text}", "bold")


def table(rows: list[list[str]]) -> list[str]:
    """Aligns the columns of rows; the first row is the heading."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
