#!/usr/bin/env python3
"""The dependency rule of the source tree, read off its #include lines.

    core < codec < transcode, telemetry < rpc, bus, store < service < services/*

A folder uses only itself and folders further left; services never include each other; and nothing that others are to take for their own
contracts (lib/, gateway/, tools/protoc-gen-sky/, proto/sky/) names this project's domain outside comments.

Run: test_layers.py [SOURCE_ROOT]. The checker is tested first, on small trees made for it, so that it cannot pass by looking at nothing.
"""

import pathlib
import re
import sys
import tempfile
import unittest

LAYERS = [{"core"}, {"codec"}, {"transcode", "telemetry"}, {"rpc", "bus", "store"}, {"service"}]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
# What may be taken without the domain, and the highest layer each may use.
GENERIC = {"gateway": RANK["transcode"], "tools/protoc-gen-sky": RANK["transcode"]}
DOMAIN = re.compile(r"fabrikam|drone", re.IGNORECASE)
SOURCES = {".c", ".h", ".proto"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
COMMENT_OR_STRING = re.compile(r'//[^\n]*|/\*.*?\*/|("(?:\\.|[^"\\\n])*")', re.DOTALL)


def without_comments(text):
    """The text with comments blanked and line numbers kept; strings stay."""
    return COMMENT_OR_STRING.sub(lambda m: m.group(1) or "\n" * m.group(0).count("\n"), text)


def sources(root, *folders):
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in SOURCES and path.is_file():
                yield path


def includes(path):
    """(line number, is_quoted, included path) of each #include."""
    text = without_comments(path.read_text(encoding="utf-8"))
    for match in INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start(2)) + 1, match.group(1) == '"', match.group(2)


def target(root, path, quoted, included):
    """The included file relative to root when it lies in the tree, else the path as written below lib/."""
    if quoted:
        near = (path.parent / included).resolve()
        if near.exists() and near.is_relative_to(root):
            return near.relative_to(root).as_posix()
    for base in ("", "lib"):
        if (root / base / included).exists():
            return (pathlib.PurePosixPath(base) / included).as_posix()
    return included


def layer_of(path):
    """core for lib/sky/core/str.h and for sky/core/str.h; None outside the layers."""
    match = re.match(r"(?:lib/)?sky/([^/]+)/", path)
    return match.group(1) if match else None


def check_layers(root):
    for path in sources(root, "lib/sky"):
        name = path.relative_to(root).as_posix()
        own = layer_of(name)
        if own not in RANK:
            yield f"{name}: {own} is no known layer"
            continue
        for line, quoted, included in includes(path):
            where = target(root, path, quoted, included)
            other = layer_of(where)
            if where.startswith(("services/", "gateway/", "tools/", "tests/")):
                yield f"{name}:{line}: a library includes {where}"
            elif other is not None and other != own and RANK.get(other, len(LAYERS)) >= RANK[own]:
                yield f"{name}:{line}: {own} may not use {other} ({included})"


def check_generic(root):
    for folder, highest in GENERIC.items():
        for path in sources(root, folder):
            for line, quoted, included in includes(path):
                other = layer_of(target(root, path, quoted, included))
                if other is not None and RANK.get(other, len(LAYERS)) > highest:
                    yield f"{path.relative_to(root)}:{line}: {folder} may not use {other} ({included})"


def check_services(root):
    for path in sources(root, "services"):
        name = path.relative_to(root)
        own = name.parts[1]
        for line, quoted, included in includes(path):
            where = target(root, path, quoted, included)
            parts = pathlib.PurePosixPath(where).parts
            if parts[:1] == ("services",) and len(parts) > 1 and parts[1] != own:
                yield f"{name}:{line}: {own} includes another service's {where}"


def check_domain(root):
    for path in sources(root, "lib", "proto/sky", *GENERIC):
        text = without_comments(path.read_text(encoding="utf-8"))
        for match in DOMAIN.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{path.relative_to(root)}:{line}: generic code names the domain: {match.group(0)}"


def check(root):
    root = pathlib.Path(root).resolve()
    return [*check_layers(root), *check_generic(root), *check_services(root), *check_domain(root)]


class Checker(unittest.TestCase):
    def problems(self, files):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                path = pathlib.Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            return check(folder)

    def assert_fine(self, files):
        self.assertEqual(self.problems(files), [])

    def assert_problem(self, files, expected):
        self.assertEqual(self.problems(files), [expected])

    def test_using_lower_layers_is_fine(self):
        self.assert_fine({"lib/sky/service/a.c": "#include <sky/core/str.h>\n#include <sky/bus/bus.h>\n",
                          "lib/sky/rpc/a.c": '#include <sky/telemetry/m.h>\n#include "own.h"\n#include <string.h>\n',
                          "services/delivery/a.c": '#include <sky/service/service.h>\n#include "domain.h"\n'})

    def test_using_a_higher_layer(self):
        self.assert_problem({"lib/sky/core/a.c": "\n#include <sky/codec/wire.h>\n"},
                            "lib/sky/core/a.c:2: core may not use codec (sky/codec/wire.h)")

    def test_using_a_neighbour_of_the_same_rank(self):
        self.assert_problem({"lib/sky/bus/a.h": "#  include <sky/store/store.h>"},
                            "lib/sky/bus/a.h:1: bus may not use store (sky/store/store.h)")

    def test_using_a_higher_layer_by_relative_path(self):
        self.assert_problem({"lib/sky/core/a.c": '#include "../rpc/call.h"', "lib/sky/rpc/call.h": ""},
                            "lib/sky/core/a.c:1: core may not use rpc (../rpc/call.h)")

    def test_a_library_using_a_service(self):
        self.assert_problem({"lib/sky/rpc/a.c": '#include "services/account/a.h"', "services/account/a.h": ""},
                            "lib/sky/rpc/a.c:1: a library includes services/account/a.h")

    def test_an_unknown_layer(self):
        self.assert_problem({"lib/sky/misc/a.c": ""}, "lib/sky/misc/a.c: misc is no known layer")

    def test_using_an_unknown_layer(self):
        self.assert_problem({"lib/sky/core/a.c": "#include <sky/misc/a.h>"},
                            "lib/sky/core/a.c:1: core may not use misc (sky/misc/a.h)")

    def test_a_gateway_on_the_rpc_runtime(self):
        self.assert_problem({"gateway/src/a.c": "#include <sky/core/str.h>\n#include <sky/rpc/call.h>"},
                            "gateway/src/a.c:2: gateway may not use rpc (sky/rpc/call.h)")

    def test_a_service_using_another(self):
        files = {"services/workflow/a.c": '#include "../delivery/delivery.h"', "services/delivery/delivery.h": ""}
        self.assert_problem(files, "services/workflow/a.c:1: workflow includes another service's services/delivery/delivery.h")
        files["services/workflow/a.c"] = "#include <services/delivery/delivery.h>"
        self.assert_problem(files, "services/workflow/a.c:1: workflow includes another service's services/delivery/delivery.h")

    def test_a_service_may_use_generated_code_of_another(self):
        self.assert_fine({"services/workflow/a.c": "#include <fabrikam/delivery/v1/delivery.sky.h>"})

    def test_generic_code_that_names_the_domain(self):
        for name in ("lib/sky/rpc/a.c", "gateway/a.h", "tools/protoc-gen-sky/a.c", "proto/sky/options.proto"):
            self.assert_problem({name: '/* x\n y */\nconst char *s = "DroneId";\n'},
                                f"{name}:3: generic code names the domain: Drone")
        self.assert_problem({"lib/sky/bus/a.c": "#include <fabrikam/a.h>"},
                            "lib/sky/bus/a.c:1: generic code names the domain: fabrikam")

    def test_comments_may_use_the_domain_as_example(self):
        self.assert_fine({"lib/sky/core/a.h": '/* drone-7\n */ // fabrikam\nconst char *url = "http://x/*"; /* drone */\n',
                          "tests/unit/a.c": "int drone;", "services/delivery/a.c": "int drone;"})

    def test_a_commented_include_does_not_count(self):
        self.assert_fine({"lib/sky/core/a.h": "/*\n#include <sky/rpc/call.h>\n*/\n// #include <sky/rpc/call.h>\n"})


def main():
    tests = unittest.defaultTestLoader.loadTestsFromTestCase(Checker)
    if not unittest.TextTestRunner(verbosity=0).run(tests).wasSuccessful():
        return 1
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2])
    count = sum(1 for _ in sources(root, "lib", "services", *GENERIC))
    problems = check(root)
    print(*problems, sep="\n")
    print(f"{count} files checked, {len(problems)} problems")
    return 1 if problems or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
