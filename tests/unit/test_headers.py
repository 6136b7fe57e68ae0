#!/usr/bin/env python3
"""Every function that a header of lib/sky declares is documented: by a comment above it, above its group, or behind it.

A group is what stands together without an empty line. Run: test_headers.py [SOURCE_ROOT]. The checker is tested first, so that it cannot pass
by looking at nothing.
"""

import pathlib
import re
import sys
import unittest

DECLARATION = re.compile(r"^(?!typedef|extern const|#|\s|/\*)[\w ]+?[ *]+(sky_\w+)\(")


def undocumented(text):
    """(line number, function) of each function without a comment."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        found = DECLARATION.match(line)
        if not found:
            continue
        end = number
        while end + 1 < len(lines) and not re.search(r"[;{]", lines[end]):
            end += 1
        begin = number
        while begin > 0 and lines[begin - 1].strip():
            begin -= 1
        if "/*" not in "\n".join(lines[number:end + 1]) and "*/" not in "\n".join(lines[begin:number]):
            yield number + 1, found[1]


class Checker(unittest.TestCase):
    def found(self, text):
        return [name for _, name in undocumented(text)]

    def test_comments_above_behind_and_of_the_group(self):
        self.assertEqual(self.found("/* Does. */\nint sky_a(void);\nint sky_b(void);\n\nvoid sky_c(void); /* too */\n"), [])

    def test_a_comment_behind_a_declaration_of_several_lines(self):
        self.assertEqual(self.found("SKY_MUST_USE SkyStatus sky_a(int a,\n    int b); /* both */\n"), [])

    def test_none(self):
        self.assertEqual(self.found("/* Of another group. */\n\nSkyStr *sky_a(void);\nSKY_MUST_USE SkyStatus sky_b(int a,\n  int b);\n"),
                         ["sky_a", "sky_b"])

    def test_types_and_calls_are_no_declarations(self):
        self.assertEqual(self.found("typedef void (*SkyDone)(void);\n  sky_a(1);\n#define X sky_b(1)\n * sky_c(x) does;\n"), [])


def main():
    tests = unittest.defaultTestLoader.loadTestsFromTestCase(Checker)
    if not unittest.TextTestRunner(verbosity=0).run(tests).wasSuccessful():
        return 1
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2])
    headers = sorted((root / "lib/sky").rglob("*.h"))
    problems = [f"{path.relative_to(root)}:{line}: {name} is not documented"
                for path in headers if "(internal)" not in (text := path.read_text(encoding="utf-8")) for line, name in undocumented(text)]
    print(*problems, sep="\n")
    print(f"{len(headers)} headers, {len(problems)} functions without a comment")
    return 1 if problems or not headers else 0


if __name__ == "__main__":
    sys.exit(main())
