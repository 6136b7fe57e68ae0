"""Lays out C sources with clang-format (.clang-format) and contracts with buf format, in place."""

import subprocess

from dev import build, install, sources
from dev.paths import ROOT
from dev.term import say

SUMMARY = "lay out all sources"


def add_arguments(parser) -> None:
    del parser


def run(options) -> int:
    install.ensure(["build", "lint"], options.no_install)
    c_files = sources.files("*.c", "*.h")
    if c_files:
        subprocess.run(["clang-format", "-i", *map(str, c_files)], cwd=ROOT, check=True)
    if (ROOT / "buf.yaml").exists():
        subprocess.run(["buf", "format", "proto", "-w"], cwd=ROOT, env=build.environment(), check=True)
    say(f"laid out {len(c_files)} C files and the contracts", "green")
    return 0
