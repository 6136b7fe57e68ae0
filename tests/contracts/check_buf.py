"""buf's checks of the contracts: lint, layout and breaking changes; and the proof that each of them bites."""

import re
import unittest
from pathlib import Path
from typing import Callable

from contracts import BASELINE, FOUND_PROBLEMS, ROOT, buf, last_release, released, workspace

PACKAGE = "fabrikam/package/v1/package.proto"


class Contracts(unittest.TestCase):
    def test_lint_is_clean(self) -> None:
        done = buf("lint")
        self.assertEqual(done.returncode, 0, f"\n{done.stdout}{done.stderr}")

    def test_layout_is_buf_format(self) -> None:
        done = buf("format", "proto", "--diff", "--exit-code")
        self.assertEqual(done.returncode, 0, f"run ./dev fmt\n{done.stdout}{done.stderr}")

    def test_nothing_released_is_broken(self) -> None:
        with released() as before:
            done = buf("breaking", "proto", "--against", str(before))
        self.assertEqual(done.returncode, 0, f"against {last_release() or BASELINE.name}; docs/how-to/evolve-a-contract.md says what to do\n"
                         f"{done.stdout}{done.stderr}")


class Bite(unittest.TestCase):
    """The same commands on a spoiled copy must find the spoiled thing, or the checks above prove nothing."""

    def spoil(self, change: Callable[[str], str], *command: str) -> str:
        with workspace() as copy:
            file: Path = copy / "proto" / PACKAGE
            text = file.read_text()
            spoiled = change(text)
            self.assertNotEqual(text, spoiled, "the test no longer finds what it wants to spoil")
            file.write_text(spoiled)
            done = buf(*command, cwd=copy)
        self.assertEqual(done.returncode, FOUND_PROBLEMS, f"{done.stdout}{done.stderr}")
        return done.stdout

    def test_a_removed_field_breaks(self) -> None:
        def remove_tag(text: str) -> str:
            return re.sub(r"  // Their weight together\.\n  double total_weight_kg = \d+;\n", "", text)

        found = self.spoil(remove_tag, "breaking", "proto", "--against", str(ROOT / "proto"))
        self.assertIn("total_weight_kg", found)

    def test_a_changed_type_breaks(self) -> None:
        found = self.spoil(lambda text: text.replace("int64 package_count", "string package_count"),
                           "breaking", "proto", "--against", str(BASELINE))
        self.assertIn("package_count", found)

    def test_a_field_without_comment_is_found(self) -> None:
        found = self.spoil(lambda text: text.replace("  // Their weight together.\n", ""), "lint")
        self.assertIn("total_weight_kg", found)

    def test_bad_layout_is_found(self) -> None:
        found = self.spoil(lambda text: text.replace("  double total_weight_kg", "    double total_weight_kg"),
                           "format", "proto", "--diff", "--exit-code")
        self.assertIn("total_weight_kg", found)


if __name__ == "__main__":
    unittest.main()
