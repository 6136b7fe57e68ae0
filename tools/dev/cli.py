"""The command line: ./dev COMMAND [options]. Each command is a module of dev.commands with SUMMARY, add_arguments() and run()."""

import argparse
import importlib
import sys

from dev.term import Refusal, paint

# Order of --help: what a newcomer needs first.
COMMANDS = ("demo", "test", "up", "down", "status", "logs", "bench", "build", "lint", "fmt", "clean")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./dev", description="Skyhook's one script: builds, runs, shows and tests the whole system.",
        epilog="The first use of a command installs what it needs (and says so); ./dev COMMAND --help tells more.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = importlib.import_module(f"dev.commands.{name}")
        sub = commands.add_parser(name, help=module.SUMMARY, description=module.__doc__,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
        sub.add_argument("--no-install", action="store_true", help="install nothing: say what is missing and how to get it, and stop")
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    return parser


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except Refusal as refusal:
        print(paint(str(refusal), "red", enabled=sys.stderr.isatty()), file=sys.stderr)
        return refusal.code
    except KeyboardInterrupt:
        return 130
