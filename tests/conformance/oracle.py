#!/usr/bin/env python3
"""Random messages through lib/sky/transcode and through Python's protobuf, which must agree.

    oracle.py TOOLS TESTEE DESCRIPTORS [SEED [ROUNDS]]

TESTEE speaks the pipe protocol of protobuf's conformance suite (testee.c). Each message goes binary -> JSON and JSON -> binary there and is
compared with what json_format makes of it; then its JSON and its bytes are damaged, and whatever the testee still accepts, it must read
as Python does. A failure prints the seed that repeats it.
"""

import json
import math
import os
import pathlib
import random
import re
import struct
import subprocess
import sys

sys.path.pop(0)  # this folder has a google/protobuf of its own, which is no Python package

ROUNDS = 1000
PROTOBUF, JSON = 1, 2
TYPE = "test.library.v1.Everything"
FLOATS = [0.0, 1.0, -1.5, 0.1, 1e21, 1e-7, 123456789.125, math.inf, -math.inf, math.nan, 5e-324, 1.7976931348623157e308]
TEXTS = ["", "a", "Fahrrad", "\u00e9\u00df", "\U0001f681 \u2028", 'quote " and \\ back', "tab\tline\n\x01\x7f", "x" * 200, "</script>"]


def use_tools_python(tools):
    """Python's protobuf is in the project's virtual environment: go on with its interpreter unless this one has it."""
    # The one in pure Python reads as the specification says; upb drops map entries that hold unknown fields.
    os.environ["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = "python"
    try:
        import google.protobuf.message  # noqa: F401
    except ImportError:
        python = tools / "venv/bin/python"
        if not python.exists() or pathlib.Path(sys.prefix).resolve() == (tools / "venv").resolve():
            sys.exit(f"conformance: Python's protobuf is missing from {tools / 'venv'}; `./dev test` installs it")
        os.execv(python, [str(python), *sys.argv])


class Testee:
    """The other end of the pipe."""

    def __init__(self, program, descriptors):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=os.environ | {"SKY_TEST_DESCRIPTORS": str(descriptors)})

    @staticmethod
    def _varint(number):
        out = bytearray()
        while number > 0x7F:
            out.append(number & 0x7F | 0x80)
            number >>= 7
        return bytes(out + bytes([number]))

    def ask(self, payload, payload_kind, output, type_name=TYPE):
        """(field number of conformance.ConformanceResponse, its bytes)"""
        field = lambda number, data: self._varint(number << 3 | 2) + self._varint(len(data)) + data
        request = field(payload_kind, payload) + bytes([3 << 3, output]) + field(4, type_name.encode())
        self.process.stdin.write(struct.pack("<I", len(request)) + request)
        self.process.stdin.flush()
        size = struct.unpack("<I", self._read(4))[0]
        answer = self._read(size)
        number, at = answer[0] >> 3, 1
        while answer[at] & 0x80:
            at += 1
        return number, answer[at + 1:]

    def _read(self, size):
        data = self.process.stdout.read(size)
        if len(data) != size:
            raise AssertionError(f"the testee died: exit status {self.process.wait()}")
        return data

    def close(self):
        self.process.stdin.close()
        return self.process.wait(timeout=30)


PARSE_ERROR, PROTOBUF_RESULT, JSON_RESULT, SERIALIZE_ERROR = 1, 3, 4, 6


class Maker:
    """Random messages of any type."""

    def __init__(self, rng):
        self.rng = rng

    def integer(self, bits, signed):
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
        return self.rng.choice([0, 1, low, high, self.rng.randint(low, high), self.rng.randint(max(low, -300), 300)])

    def floating(self, double):
        value = self.rng.choice(FLOATS + [self.rng.uniform(-180, 180), self.rng.gauss(0, 1e6)])
        if double:
            return value
        try:
            return struct.unpack("f", struct.pack("f", value))[0]
        except OverflowError:
            return 0.5

    def text(self):
        return self.rng.choice(TEXTS)

    def scalar(self, field):
        kinds = {1: lambda: self.floating(True), 2: lambda: self.floating(False), 3: lambda: self.integer(64, True),
                 4: lambda: self.integer(64, False), 5: lambda: self.integer(32, True), 6: lambda: self.integer(64, False),
                 7: lambda: self.integer(32, False), 8: lambda: self.rng.random() < 0.5, 9: self.text,
                 12: lambda: self.rng.randbytes(self.rng.randint(0, 9)), 13: lambda: self.integer(32, False),
                 14: lambda: self.rng.choice([value.number for value in field.enum_type.values] + [77]) if field.enum_type.name != "NullValue" else 0,
                 15: lambda: self.integer(32, True), 16: lambda: self.integer(64, True), 17: lambda: self.integer(32, True),
                 18: lambda: self.integer(64, True)}
        return kinds[field.type]()

    def fill(self, message, depth=0):
        name = message.DESCRIPTOR.full_name
        special = getattr(self, "fill_" + name.rsplit(".", 1)[1].lower(), None) if name.startswith("google.protobuf.") else None
        if special:
            return special(message, depth)
        for field in message.DESCRIPTOR.fields:
            if self.rng.random() < (0.3 if depth == 0 else 0.15):
                self.fill_field(message, field, depth)
        message.SetInParent()

    def fill_field(self, message, field, depth):
        if field.message_type is not None and depth > 3:
            return
        repeated = getattr(field, "is_repeated", None)
        repeated = repeated if repeated is not None else field.label == 3
        target = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            key, value = field.message_type.fields
            for _ in range(self.rng.randint(1, 4)):
                if value.message_type is not None:
                    self.fill(target[self.scalar(key)], depth + 1)
                else:
                    target[self.scalar(key)] = self.scalar(value)
        elif repeated:
            for _ in range(self.rng.randint(1, 4)):
                if field.message_type is not None:
                    self.fill(target.add(), depth + 1)
                else:
                    target.append(self.scalar(field))
        elif field.message_type is not None:
            self.fill(target, depth + 1)
        else:
            setattr(message, field.name, self.scalar(field))

    def fill_timestamp(self, message, _depth):
        message.seconds = self.rng.choice([0, -62135596800, 253402300799, self.rng.randint(-62135596800, 253402300799)])
        message.nanos = self.rng.choice([0, 1, 500000000, 123456000, 999999999])

    def fill_duration(self, message, _depth):
        sign = self.rng.choice([1, -1])
        message.seconds = sign * self.rng.choice([0, 1, 315576000000, self.rng.randint(0, 10**9)])
        message.nanos = sign * self.rng.choice([0, 1, 500000000, 999999999])

    def fill_fieldmask(self, message, _depth):
        message.paths.extend(self.rng.sample(["a", "foo_bar", "a.b_c.d", "x1"], self.rng.randint(0, 3)))
        message.SetInParent()

    def fill_value(self, message, depth):
        kind = self.rng.randint(0, 5 if depth < 3 else 3)
        if kind == 0:
            message.null_value = 0
        elif kind == 1:
            message.number_value = self.rng.choice([0, -1.5, 1e300, self.rng.random()])
        elif kind == 2:
            message.string_value = self.text()
        elif kind == 3:
            message.bool_value = self.rng.random() < 0.5
        elif kind == 4:
            self.fill_struct(message.struct_value, depth + 1)
        else:
            self.fill_listvalue(message.list_value, depth + 1)

    def fill_struct(self, message, depth):
        message.SetInParent()
        for _ in range(self.rng.randint(0, 3)):
            self.fill_value(message.fields[self.text()], depth + 1)

    def fill_listvalue(self, message, depth):
        message.SetInParent()
        for _ in range(self.rng.randint(0, 3)):
            self.fill_value(message.values.add(), depth + 1)

    def fill_any(self, message, _depth):
        message.SetInParent()


class Oracle:
    def __init__(self, testee, descriptors, seed):
        from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
        pool = descriptor_pool.DescriptorPool()
        for file in descriptor_pb2.FileDescriptorSet.FromString(descriptors.read_bytes()).file:
            pool.Add(file) if hasattr(pool, "Add") else pool.AddSerializedFile(file.SerializeToString())
        self.pool = pool
        self.type = message_factory.GetMessageClass(pool.FindMessageTypeByName(TYPE))
        self.format = json_format
        self.testee = testee
        self.rng = random.Random(seed)
        self.maker = Maker(self.rng)
        self.accepted = self.refused = 0

    def same(self, a, b):
        return a.SerializeToString(deterministic=True) == b.SerializeToString(deterministic=True)

    def round(self):
        message = self.type()
        self.maker.fill(message)
        wire = message.SerializeToString()
        theirs = self.format.MessageToJson(message, descriptor_pool=self.pool)
        kind, ours = self.testee.ask(wire, PROTOBUF, JSON)
        assert kind == JSON_RESULT, (kind, ours, theirs)
        assert self.same(self.format.Parse(ours.decode(), self.type(), descriptor_pool=self.pool), message), (ours, theirs)
        assert json.loads(ours).keys() == json.loads(theirs).keys(), (ours, theirs)
        kind, back = self.testee.ask(theirs.encode(), JSON, PROTOBUF)
        assert kind == PROTOBUF_RESULT, (kind, back, theirs)
        assert self.same(self.type.FromString(back), message), theirs
        kind, canonical = self.testee.ask(wire, PROTOBUF, PROTOBUF)
        assert kind == PROTOBUF_RESULT and self.same(self.type.FromString(canonical), message), (wire, canonical)
        for _ in range(4):
            self.damaged_json(ours)
            self.damaged_wire(wire)

    def damage(self, data, pieces):
        data = bytearray(data)
        for _ in range(self.rng.randint(1, 3)):
            at = self.rng.randint(0, len(data))
            choice = self.rng.randint(0, 3)
            if choice == 0:
                data[at:at] = self.rng.choice(pieces)
            elif choice == 1:
                del data[at:at + self.rng.randint(1, 4)]
            elif choice == 2 and at < len(data):
                data[at] = self.rng.randint(0, 255)
            else:
                other = self.rng.randint(0, len(data))
                data[at:at] = data[min(at, other):max(at, other)][:40]
        return bytes(data)

    def damaged_json(self, text):
        pieces = [b'"', b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b"1e5", b"-", b".5", b"\\u0041", b"\\", b"\xff", b" ", b'"aString":"x",', b"0"]
        damaged = self.damage(text, pieces)
        kind, ours = self.testee.ask(damaged, JSON, PROTOBUF)
        if kind != PROTOBUF_RESULT:
            self.refused += 1
            return
        self.accepted += 1
        try:
            theirs = self.format.Parse(damaged.decode(), self.type(), descriptor_pool=self.pool)
        except Exception as error:
            # Known to be stricter or simply wrong in Python: it reads surrogate pairs, nanoseconds and floats its own way.
            if re.search(r"timestamp|duration|time data|year|too large|too small|Couldn't parse|Fail|out of range", str(error), re.IGNORECASE):
                return
            raise AssertionError(f"only we accept {damaged!r}: {error}") from error
        if not re.search(rb"-0(?![.0-9])", damaged):  # Python's json reads -0 as the integer 0
            assert self.same(self.type.FromString(ours), theirs), damaged

    def damaged_wire(self, wire):
        damaged = self.damage(wire, [b"\x00", b"\x80", b"\xff\xff\xff\xff\x0f", b"\x0b", b"\x0c", b"\x28\x01", b"\x4a\x01x"])
        kind, ours = self.testee.ask(damaged, PROTOBUF, PROTOBUF)
        if kind != PROTOBUF_RESULT:
            self.refused += 1
            return
        self.accepted += 1
        read_back = self.type.FromString(ours)  # whatever we let through is well-formed
        try:
            theirs = self.type.FromString(damaged)
        except Exception:
            return  # Python looks also at text that a later value of the same field replaces
        overlong = re.search(rb"[\x80-\xff]\x00", damaged)  # such a tag is an unknown field to Python and to nobody else
        assert overlong or self.same(read_back, theirs), f"{damaged!r}: ours:\n{read_back}theirs:\n{theirs}"
        self.testee.ask(damaged, PROTOBUF, JSON)


def main(tools, program, descriptors, seed=20261121, rounds=ROUNDS):
    use_tools_python(tools)
    testee = Testee(program, descriptors)
    oracle = Oracle(testee, descriptors, seed)
    for index in range(rounds):
        try:
            oracle.round()
        except AssertionError as error:
            sys.exit(f"seed {seed}, round {index}: {error}")
    status = testee.close()
    print(f"{rounds} messages agree; of the damaged ones {oracle.accepted} were accepted and {oracle.refused} refused")
    sys.exit(status if oracle.accepted > 100 and oracle.refused > 100 else "the damage is not mixed enough to show anything")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve(), pathlib.Path(sys.argv[3]), *map(int, sys.argv[4:]))
