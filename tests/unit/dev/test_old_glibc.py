"""tools/dev/old_glibc.py: marks version needs weak, touching nothing else of the program."""

import subprocess
import sys

import pytest
from dev.old_glibc import elf_hash, weaken


@pytest.fixture
def program():
    with open(sys.executable, "rb") as file:
        return bytearray(file.read())


def test_the_hash_of_the_system_v_abi():
    assert elf_hash(b"GLIBC_2.2.5") == 0x09691A75


def test_a_version_that_nobody_needs_changes_nothing(program):
    before = bytes(program)
    assert weaken(program, (b"GLIBC_99.9",)) == 0
    assert bytes(program) == before


def test_one_flag_changes_and_the_program_still_runs(program, tmp_path):
    before = bytes(program)
    assert weaken(program, (b"GLIBC_2.34",)) >= 1
    assert 1 <= sum(a != b for a, b in zip(before, program)) <= 4
    copy = tmp_path / "python"
    copy.write_bytes(program)
    copy.chmod(0o755)
    assert subprocess.run([copy, "-S", "-c", "print(6 * 7)"], capture_output=True, text=True, check=True,
                          env={"PYTHONHOME": sys.base_prefix}).stdout == "42\n"
