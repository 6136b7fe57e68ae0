"""Builds everything and runs all tests: meson's suites and pytest's folders of the same names, first on the normal build, then unit,
interop, component and system tests again with AddressSanitizer and UBSan. Ends with `N passed, N failed`.

  ./dev test                    everything
  ./dev test unit -k arena      the unit tests whose name contains "arena"
  ./dev test system --no-asan   system tests on the normal build only
"""

import subprocess
import time

from dev import build, install, testrun
from dev.paths import ROOT
from dev.tally import Tally
from dev.term import Refusal, paint, coloured, say, step, table

SUMMARY = "build and run all tests"

GROUPS = ("unit", "contracts", "conformance", "interop", "install", "component", "system")  # quickest first, so that a plain mistake shows at once
SANITIZED = ("unit", "interop", "component", "system")


def add_arguments(parser) -> None:
    parser.add_argument("group", nargs="*", metavar="GROUP", help="only these: " + ", ".join(GROUPS))
    parser.add_argument("-k", metavar="WORD", dest="word", help="only tests whose name contains WORD")
    parser.add_argument("--no-asan", action="store_true", help="leave out the run with sanitizers")
    parser.add_argument("--asan", action="store_true", help="only the run with sanitizers")
    parser.add_argument("--tsan", action="store_true", help="run unit and component tests with ThreadSanitizer instead")


class _Background:
    """The sanitizer build, compiled at low priority while the normal build is being tested."""

    def __init__(self, flavour: str):
        self.folder = ROOT / flavour
        self._flavour = flavour
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        build.configure(self._flavour)
        with open(self.folder / "compile.log", "wb") as log:
            self._process = subprocess.Popen(["nice", "-n", "19", "ninja", "-C", str(self.folder)], cwd=ROOT, env=build.environment(),
                                             stdout=log, stderr=subprocess.STDOUT)

    def finish(self) -> None:
        """Waits for the rest; what went wrong in the background is said by compiling it again in the foreground."""
        if self._process:
            self._process.wait()
        build.compile_all(self.folder)

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()


def _groups(options) -> list[str]:
    for group in options.group:
        if group not in GROUPS:
            raise Refusal(f"no such group of tests: {group} (there are {', '.join(GROUPS)})", 2)
    return [group for group in GROUPS if not options.group or group in options.group]


def _run_groups(label: str, folder, groups: list[str], options, results: list) -> None:
    for group in groups:
        step(f"{label}: {group} tests")
        begin = time.monotonic()
        total = testrun.run_meson(folder, group, options.word)
        if group != "unit" or folder.name == "build":  # Python's own unit tests run no C: once is enough
            total += testrun.run_pytest(folder, group, options.word)
        if total != Tally():
            results.append((f"{label} {group}", total, time.monotonic() - begin))


def _run_sanitized(background: _Background, groups: list[str], options, results: list) -> None:
    """A sanitizer build that does not compile is one failure among the results, not the end of the report."""
    flavour = background.folder.name
    step(f"compiling {flavour}")
    try:
        build.configure(flavour)
        background.finish()
    except Refusal as refusal:
        say(str(refusal), "red")
        results.append((f"{flavour} compile", Tally(failed=1), 0.0))
        return
    _run_groups(flavour, background.folder, groups, options, results)


def _report(results: list) -> int:
    total = sum((tally for _, tally, _ in results), Tally())
    rows = [["tests", "result", "time"]] + [[name, str(tally), f"{seconds:.0f} s"] for name, tally, seconds in results]
    print("\n" + "\n".join(table(rows)))
    if total == Tally():
        say("no test was run", "red")
    if total.skipped:
        say(f"{total.skipped} skipped", "yellow")
    print(paint(f"{total.passed} passed, {total.failed} failed", "green" if total.good() else "red", enabled=coloured()), flush=True)
    return 0 if total.good() else 1


def run(options) -> int:
    groups = _groups(options)
    install.ensure(["build", "test"], options.no_install)
    results: list = []
    sanitized = [group for group in groups if group in SANITIZED and not (options.tsan and group == "system")]
    background = None
    if sanitized and not options.no_asan:
        background = _Background("build-tsan" if options.tsan else "build-asan")
    try:
        if not (options.asan or options.tsan):
            step("compiling")
            normal = build.configure()
            build.compile_all(normal)
            strays = testrun.strays(normal, GROUPS)
            if strays:
                raise Refusal(f"tests of no known group would not run: {', '.join(sorted(strays)) or 'without a suite'}")
            if background:
                background.start()
            _run_groups("build", normal, groups, options, results)
        if background:
            _run_sanitized(background, sanitized, options, results)
    finally:
        if background:
            background.stop()
    return _report(results)
