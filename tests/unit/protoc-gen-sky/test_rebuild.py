#!/usr/bin/env python3
"""What ninja has noted that generated code depends on: the .proto and all it imports, and nothing else of ours.

Run: test_rebuild.py NINJA BUILD_DIR SOURCE_ROOT. Reads ninja's log of dependencies, which the last build filled from protoc's depfiles; changes nothing.
"""

import os
import subprocess
import sys

# generated file: contracts in proto/ that must stand among its dependencies, all of them
EXPECTED = {
    "proto/fabrikam/common/v1/common.event.c": {"fabrikam/common/v1/common.proto", "sky/options/v1/options.proto"},
    "proto/fabrikam/delivery/v1/delivery.event.c": {
        "fabrikam/delivery/v1/delivery.proto", "fabrikam/common/v1/common.proto", "sky/options/v1/options.proto"},
    "tests/unit/protoc-gen-sky/torture.event.c": {
        "torture.proto", "torture_import.proto", "torture_public.proto", "sky/options/v1/options.proto"},
    "tests/unit/protoc-gen-sky/no_package.event.c": {"no_package.proto"},
}
ROOTS = ("proto/", "tests/unit/protoc-gen-sky/")


def contracts(ninja, build, source, output):
    """Names below our roots of the .proto files that the output depends on."""
    done = subprocess.run([ninja, "-C", build, "-t", "deps", output], capture_output=True, text=True, timeout=60, check=True)
    found = set()
    for line in done.stdout.splitlines():
        path = os.path.relpath(os.path.join(build, line.strip()), source)
        for root in ROOTS:
            if path.startswith(root) and path.endswith(".proto"):
                found.add(path.removeprefix(root))
    return found


def main(ninja, build, source):
    failures = 0
    for output, expected in EXPECTED.items():
        found = contracts(ninja, build, source, output)
        if found != expected:
            print(f"{output} depends on {sorted(found)}, expected {sorted(expected)}")
            failures += 1
    return failures != 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
