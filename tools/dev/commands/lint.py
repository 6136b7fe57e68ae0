"""Checks without running: clang-format (layout), cppcheck (C defects), buf lint and buf format (contracts)."""

import os
import subprocess

from dev import build, install, sources
from dev.paths import ROOT
from dev.term import say, step

SUMMARY = "check layout, C and contracts"

_CPPCHECK = [
    "cppcheck", "--std=c11", "--language=c", "--enable=warning,portability,performance", "--inline-suppr", "--quiet",
    "--error-exitcode=1", "--suppress=missingInclude", "--suppress=unknownMacro", "--suppressions-list=tools/dev/cppcheck-suppressions.txt",
    "-Ilib", "-D_GNU_SOURCE",
]


def _checks() -> list[tuple[str, list[str]]]:
    c_files = [str(path) for path in sources.files("*.c", "*.h")]
    units = [name for name in c_files if name.endswith(".c")]
    checks = []
    if c_files:
        checks.append(("clang-format", ["clang-format", "--dry-run", "--Werror", *c_files]))
    if units:
        checks.append(("cppcheck", [*_CPPCHECK, f"-j{os.cpu_count() or 1}", *units]))
    if (ROOT / "buf.yaml").exists():
        checks.append(("buf lint", ["buf", "lint"]))
        checks.append(("buf format", ["buf", "format", "proto", "--diff", "--exit-code"]))
    return checks


def add_arguments(parser) -> None:
    parser.add_argument("check", nargs="*", help="only these: clang-format, cppcheck, 'buf lint', 'buf format'")


def run(options) -> int:
    install.ensure(["build", "lint"], options.no_install)
    failed = []
    for name, command in _checks():
        if options.check and name not in options.check:
            continue
        step(name)
        if subprocess.run(command, cwd=ROOT, env=build.environment(), check=False).returncode != 0:
            failed.append(name)
    if failed:
        say(f"lint: {', '.join(failed)} failed", "red")
        return 1
    say("lint: clean", "green")
    return 0
