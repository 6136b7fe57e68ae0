"""Compiles the system into build/ (or a sanitizer flavour into build-asan/, build-tsan/)."""

from dev import build, install
from dev.term import say, step

SUMMARY = "compile everything"


def add_arguments(parser) -> None:
    parser.add_argument("--flavour", choices=sorted(build.FLAVOURS), default="build", help="which build folder (default: build)")
    parser.add_argument("target", nargs="*", help="ninja targets (default: all)")


def run(options) -> int:
    install.ensure(["build"], options.no_install)
    step(f"compiling into {options.flavour}/")
    build.compile_all(build.configure(options.flavour), tuple(options.target))
    say(f"built: {options.flavour}/", "green")
    return 0
