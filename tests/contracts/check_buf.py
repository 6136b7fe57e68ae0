"""buf's checks of the contracts: lint, layout and breaking changes; and the proof that each of them bites."""

import unittest

from contracts import BASELINE, FOUND_PROBLEMS, buf, last_release, released, workspace

LINT = ("lint",)
LAYOUT = ("format", "proto", "--diff", "--exit-code")
BREAKING = ("breaking", "proto")


class Contracts(unittest.TestCase):
    def test_lint_is_clean(self) -> None:
        done = buf(*LINT)
        self.assertEqual(done.returncode, 0, f"\n{done.stdout}{done.stderr}")

    def test_layout_is_buf_format(self) -> None:
        done = buf(*LAYOUT)
        self.assertEqual(done.returncode, 0, f"run ./dev fmt\n{done.stdout}{done.stderr}")

    def test_nothing_released_is_broken(self) -> None:
        with released() as before:
            done = buf(*BREAKING, "--against", str(before))
        self.assertEqual(done.returncode, 0, f"against {last_release() or BASELINE.name}; docs/how-to/evolve-a-contract.md says what to do\n"
                         f"{done.stdout}{done.stderr}")


SAMPLE = """// A sample.
syntax = "proto3";

package sample.v1;

// A parcel.
message Parcel {
  // Its weight.
  double weight_kg = 1;
  // How many there are.
  int64 parcel_count = 2;
}
"""


class Bite(unittest.TestCase):
    """The same commands with the same settings on a small contract, whole and spoiled, or the checks above prove nothing."""

    def run_on(self, text: str, *command: str) -> tuple[int, str]:
        with workspace(SAMPLE) as released_before, workspace(text) as copy:
            against = ["--against", str(released_before / "proto")] if command[0] == "breaking" else []
            done = buf(*command, *against, cwd=copy)
            return done.returncode, done.stdout + done.stderr

    def assert_bites(self, old: str, new: str, names: str, *command: str) -> None:
        self.assertIn(old, SAMPLE)
        self.assertEqual(self.run_on(SAMPLE, *command), (0, ""))
        code, found = self.run_on(SAMPLE.replace(old, new), *command)
        self.assertEqual(code, FOUND_PROBLEMS, found)
        self.assertIn(names, found)

    def test_a_removed_field_breaks(self) -> None:
        self.assert_bites("  // Its weight.\n  double weight_kg = 1;\n", "", "weight_kg", *BREAKING)

    def test_a_changed_type_breaks(self) -> None:
        self.assert_bites("int64 parcel_count", "string parcel_count", "parcel_count", *BREAKING)

    def test_a_renamed_field_breaks(self) -> None:
        self.assert_bites("weight_kg", "mass_kg", "weight_kg", *BREAKING)

    def test_a_field_without_comment_is_found(self) -> None:
        self.assert_bites("  // Its weight.\n", "", "weight_kg", *LINT)

    def test_bad_layout_is_found(self) -> None:
        self.assert_bites("  double weight_kg", "    double weight_kg", "weight_kg", *LAYOUT)


if __name__ == "__main__":
    unittest.main()
