"""Runs a program that was linked on a newer Linux than ours.

protobuf's conformance runner asks for GLIBC_2.38 and GLIBCXX_3.4.32, which Debian 12 lacks, for nothing but five symbols: the C23
strtol family, which older ones do as well, and the initialiser of iostreams. So those two version needs are marked weak in our copy of
the program (the loader then goes on without them) and the symbols come from a preloaded library, tools/npm/old_glibc.c.
"""

import os
import shutil
import struct
import subprocess
from pathlib import Path

from dev.needs import run
from dev.paths import ROOT

_SHT_GNU_VERNEED = 0x6FFFFFFE
_WEAK = 0x2
_TOO_NEW = (b"GLIBC_2.38", b"GLIBCXX_3.4.32")


def elf_hash(name: bytes) -> int:
    """The hash of the System V ABI, by which the needed versions are recorded."""
    value = 0
    for byte in name:
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ (high >> 24)) & ~high
    return value


def _sections(elf: bytes):
    """(type, offset, number of entries) of each section of a 64-bit little-endian ELF file."""
    (table,) = struct.unpack_from("<Q", elf, 0x28)
    size, count = struct.unpack_from("<HH", elf, 0x3A)
    for i in range(count):
        _, kind, _, _, offset, _, _, info, _, _ = struct.unpack_from("<IIQQQQIIQQ", elf, table + i * size)
        yield kind, offset, info


def weaken(elf: bytearray, versions: tuple[bytes, ...] = _TOO_NEW) -> int:
    """Marks the needed versions weak; returns how many there were."""
    hashes = {elf_hash(version) for version in versions}
    marked = 0
    for kind, need, count in _sections(elf):
        if kind != _SHT_GNU_VERNEED:
            continue
        for _ in range(count):
            _, entries, _, entry, following = struct.unpack_from("<HHIII", elf, need)
            entry += need
            for _ in range(entries):
                hashed, flags, _, _, step = struct.unpack_from("<IHHII", elf, entry)
                if hashed in hashes:
                    struct.pack_into("<H", elf, entry + 4, flags | _WEAK)
                    marked += 1
                entry += step
            need += following
    return marked


def _runs(program: Path) -> bool:
    answer = subprocess.run([program], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, check=False)
    return b"not found" not in answer.stderr


def wrap_for_old_glibc(program: Path, command: Path) -> None:
    """Makes `command` run `program`: a plain link where the machine's C library is new enough."""
    command.unlink(missing_ok=True)
    if _runs(program):
        command.symlink_to(os.path.relpath(program, command.parent))
        return
    patched, library = command.with_name(command.name + ".bin"), command.with_name("old_glibc.so")
    elf = bytearray(program.read_bytes())
    weaken(elf)
    patched.write_bytes(elf)
    shutil.copymode(program, patched)
    run(["gcc", "-O2", "-shared", "-fPIC", "-o", str(library), str(ROOT / "tools/npm/old_glibc.c")])
    command.write_text(f'#!/bin/sh\nhere=$(dirname "$0")\nLD_PRELOAD="$here/{library.name}" exec "$here/{patched.name}" "$@"\n')
    os.chmod(command, 0o755)
