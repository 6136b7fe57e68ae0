#!/usr/bin/env python3
"""All names of telemetry stand in lib/sky/telemetry/names.def, once; the libraries write them nowhere else.

Run: test_names.py. The search is tested first on texts made for it.
"""

import pathlib
import re
import unittest

NAME = re.compile(r'"((?:[a-z_]+\.)+[a-z_]+)"')
ENTRY = re.compile(r'SKY_(?:ATTRIBUTE|METRIC)\(\s*(\w+),\s*"([^"]+)"')
ROOT = pathlib.Path(__file__).resolve().parents[3]
TABLE = ROOT / "lib/sky/telemetry/names.def"


def without_comments(text):
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)


def entries(text):
    return ENTRY.findall(without_comments(text))


def used(text, names):
    """Names of the table that a source text writes out."""
    return sorted(set(NAME.findall(without_comments(text))) & names)


class Names(unittest.TestCase):
    def test_the_search_finds_a_name_in_code_and_not_in_a_comment(self):
        self.assertEqual(used('log("rpc.method"); /* "rpc.method" */', {"rpc.method"}), ["rpc.method"])
        self.assertEqual(used('/* "rpc.method" */ log("rpc.other");', {"rpc.method"}), [])

    def test_the_table_is_read(self):
        self.assertEqual(entries('SKY_ATTRIBUTE(A, "a.b") /* SKY_METRIC(x, "y") */\nSKY_METRIC(c,\n "c.d", K)'),
                         [("A", "a.b"), ("c", "c.d")])

    def test_every_name_stands_once(self):
        found = entries(TABLE.read_text())
        self.assertGreater(len(found), 30)
        for column in range(2):
            values = [entry[column] for entry in found]
            self.assertEqual(len(values), len(set(values)), sorted(values))

    def test_no_library_writes_a_name_of_the_table(self):
        names = {name for _, name in entries(TABLE.read_text())}
        wrong = [f"{path.relative_to(ROOT)}: {name}"
                 for path in sorted((ROOT / "lib/sky").rglob("*.[ch]"))
                 for name in used(path.read_text(), names)
                 if (path.relative_to(ROOT).as_posix(), name) not in ALLOWED]
        self.assertEqual(wrong, [])


# The log writes these by OpenTelemetry's log model; core comes before telemetry.
ALLOWED = {("lib/sky/core/log.c", "service.name"), ("lib/sky/core/log.c", "error.type")}

if __name__ == "__main__":
    unittest.main()
