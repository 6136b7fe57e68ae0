#!/usr/bin/env python3
"""Contracts that cannot become C: the plugin says which declaration, and why.

Run: test_errors.py PROTOC PLUGIN PROTO_ROOT THIRD_PARTY_ROOT. Each case is the body of a .proto (after its imports) and the words the
error must have. The last cases are what the plugin must survive as a program.
"""

import pathlib
import subprocess
import sys
import tempfile

HEAD = """syntax = "proto3";
package test.v1;
import "buf/validate/validate.proto";
import "google/protobuf/timestamp.proto";
import "sky/options/v1/options.proto";
"""

CASES = {
    "prefix that is no identifier": (
        'option (sky.options.v1.file).c_prefix = "not-c";',
        'bad.proto: c_prefix "not-c" is not a C identifier'),
    "nested type and its twin": (
        "message A { message B {} } message A_B {}",
        "bad.proto: test.v1.A_B: its name in C, test_v1_A_B, is already that of test.v1.A.B"),
    "message and generated function": (
        "message A {} message A_unpack {}",
        "test.v1.A_unpack: its name in C, test_v1_A_unpack, is already that of test.v1.A;"),
    "methods that collide": (
        "message A {} service S { rpc Get(A) returns (A); rpc GetAsync(A) returns (A); }",
        "its name in C, test_v1_S_get_async, is already that of test_v1_S_get;"),
    "field beside a list's count": (
        "message A { repeated int32 x = 1; int32 n_x = 2; }",
        "field n_x has the name of the C member that goes with x"),
    "field beside a oneof's case": (
        "message A { oneof x { int32 a = 1; } int32 x_case = 2; }",
        "field x_case has the name of the C member that goes with x"),
    "field that is a macro": (
        "message A { int32 unix = 1; }",
        'bad.proto: test.v1.A.unix: "unix" is a word of the C compiler'),
    "rules in CEL": (
        'message A { int32 x = 1 [(buf.validate.field).cel = {id: "i" expression: "true"}]; }',
        "test.v1.A.x: CEL rules are not supported"),
    "message rules in CEL": (
        'message A { option (buf.validate.message).cel = {id: "i" expression: "true"}; int32 x = 1; }',
        "test.v1.A: CEL rules are not supported"),
    "rules of another type": (
        "message A { int32 x = 1 [(buf.validate.field).string.min_len = 1]; }",
        "test.v1.A.x: these buf.validate rules do not fit"),
    "rule that needs a clock": (
        "message A { google.protobuf.Timestamp t = 1 [(buf.validate.field).timestamp.gt_now = true]; }",
        "test.v1.A.t: rule number 8 of its buf.validate type is not supported"),
    "pattern without counterpart": (
        'message A { string x = 1 [(buf.validate.field).string.pattern = "\\\\bword"]; }',
        "test.v1.A.x: this escape"),
    "pattern that is none": (
        'message A { string x = 1 [(buf.validate.field).string.pattern = "(a"]; }',
        "test.v1.A.x: the pattern is not a regular expression"),
    "oneof rule with a stranger": (
        'message A { option (buf.validate.message).oneof = {fields: ["x", "y"]}; int32 x = 1; }',
        'test.v1.A: a oneof rule names a field "y" that is not there'),
    "event without id field": (
        'message A { option (sky.options.v1.event) = {subject: "a.b" aggregate_id_field: "x"}; string x = 1; }',
        "test.v1.A: its event option has no event_id_field"),
    "event id of another type": (
        'message A { option (sky.options.v1.event) = {subject: "a.b" aggregate_id_field: "x" event_id_field: "n"};'
        " string x = 1; int32 n = 2; }",
        'test.v1.A: event_id_field "n" is not a string field of the event'),
    "event with a wildcard": (
        'message A { option (sky.options.v1.event) = {subject: "a.*" aggregate_id_field: "x" event_id_field: "x"}; string x = 1; }',
        'test.v1.A: "a.*" is not a subject to publish on'),
    "option declared beside a mistake": (
        "import 'google/protobuf/descriptor.proto'; message A { extend google.protobuf.FieldOptions { optional string note = 75001; } }"
        " message B { int32 unix = 1; }",  # options may be declared: only the second is refused
        'bad.proto: test.v1.B.unix: "unix" is a word of the C compiler'),
    "several at once": (
        "message A { int32 unix = 1; int32 errno = 2; }",
        "is a word of the C compiler or library that no field can have\nbad.proto: test.v1.A.errno:"),
}

PROTO2 = {
    # protoc itself refuses this in proto3
    "fields that differ in case": (
        "message A { optional int32 x = 1; optional int32 X = 2; }", "bad.proto: test.v1.A.x: differs from X only in case"),
    "required": ("message A { required int32 x = 1; }", "test.v1.A.x: proto2's `required` is not supported"),
    "extension": (
        "message A { extensions 100 to 199; } extend A { optional int32 x = 100; }",
        "bad.proto: test.v1.x: extensions of messages are not supported; give test.v1.A the field itself"),
    "extension in a message": (
        "message A { extensions 100 to 199; message B { extend A { repeated string y = 101; } } }",
        "bad.proto: test.v1.A.B.y: extensions of messages are not supported; give test.v1.A the field itself"),
    "default that is no number": (
        "message A { optional double x = 1 [default = nan]; optional float y = 2 [default = -inf]; }",
        "test.v1.A.x: the default nan is not supported\nbad.proto: test.v1.A.y: the default -inf is not supported"),
    "group": ("message A { optional group G = 1 { optional int32 x = 1; } }", "groups are not supported"),
}


class Plugin:
    def __init__(self, protoc, plugin, *roots):
        self.protoc, self.plugin, self.roots = protoc, plugin, roots

    def generate(self, source):
        """(exit code, what protoc says, names of the files written)"""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder)
            (path / "bad.proto").write_text(source, encoding="utf-8")
            (path / "out").mkdir()
            command = [self.protoc, f"--plugin=protoc-gen-sky={self.plugin}", f"--sky_out={path}/out", f"-I{path}"]
            command += [f"-I{root}" for root in self.roots] + ["bad.proto"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            return done.returncode, done.stderr, sorted(f.name for f in (path / "out").iterdir())


def check(plugin, name, source, words):
    code, said, files = plugin.generate(source)
    if code != 0 and not files and words in said:
        return 0
    print(f"{name}: exit {code}, wrote {files}, said:\n{said}expected: {words}\n")
    return 1


def check_program(plugin):
    """Without a request it fails with words, not with a signal; with options it explains itself."""
    failures = 0
    for arguments, data, words in (([], b"\xff\xff\xff", b"malformed"), (["--help"], b"", b"usage")):
        done = subprocess.run([plugin.plugin, *arguments], input=data, capture_output=True, timeout=60, check=False)
        if done.returncode != 1 or words not in done.stderr or done.stdout:
            print(f"{arguments}: exit {done.returncode}, {done.stderr}")
            failures += 1
    return failures


def main():
    plugin = Plugin(*sys.argv[1:])
    code, said, files = plugin.generate(HEAD + "message A {}")
    failures = int(code != 0 or len(files) != 8)
    if failures:
        print(f"a good contract fails: {said}")
    for name, (body, words) in CASES.items():
        failures += check(plugin, name, HEAD + body, words)
    for name, (body, words) in PROTO2.items():
        failures += check(plugin, name, 'syntax = "proto2";\npackage test.v1;\n' + body, words)
    failures += check_program(plugin)
    print(f"{len(CASES) + len(PROTO2)} contracts refused as they should be" if failures == 0 else f"{failures} failed")
    return failures != 0


if __name__ == "__main__":
    sys.exit(main())
