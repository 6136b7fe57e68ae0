"""docs/ten-minutes.md, followed to the letter: its files are written, its commands run, and what it says a program says is compared.

A block's words after its language tell: `c server.c` is a file, `sh` is run, `text` is not, `text said` is what the file `said` must hold,
and `sh install` is done by the fixture, for it compiles what the build under test has compiled already.
"""

import json
import re
import subprocess
from pathlib import Path

from support.contracts import build
from support.programs import free_port

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+) ?([\w.]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PORT = "50551"


def blocks() -> list[tuple[str, str, str]]:
    return BLOCK.findall((ROOT / "docs/ten-minutes.md").read_text())


def script(port: int) -> str:
    """All that is to be typed, in order."""
    lines = ["set -e", "set -m"]  # job control, as in a terminal: kill %1
    for language, word, text in blocks():
        text = text.replace(PORT, str(port))
        if language == "sh" and not word:
            lines.append(re.sub(r"^export PKG_CONFIG_PATH=.*\n", "", text, flags=re.MULTILINE))
        elif language in ("c", "proto"):
            lines.append(f"cat > {word} <<'END_OF_FILE'\n{text}END_OF_FILE")
        elif language == "text" and word:
            lines.append(f"diff - {word} <<'END_OF_FILE'\n{text}END_OF_FILE")
    return "\n".join(lines)


def test_the_page_works(installation, tmp_path: Path):
    installation.run("bash", "-c", script(free_port()), cwd=tmp_path)
    assert (tmp_path / "said").exists()


def test_the_page_has_all_its_parts():
    found = {(language, word) for language, word, _ in blocks()}
    assert {("sh", "install"), ("proto", "counter.proto"), ("c", "server.c"), ("c", "client.c"), ("sh", ""), ("text", "said")} <= found


def installed(folder: Path) -> set[str]:
    answer = subprocess.run(["meson", "introspect", "--installed", str(folder)], stdout=subprocess.PIPE, check=True)
    return set(json.loads(answer.stdout).values())


def test_the_small_build_installs_the_same(tmp_path: Path):
    """`sh install` of the page: what -Donly_rpc=true installs is what the whole build installs under the tag that the fixture uses."""
    setup = next(text for language, word, text in blocks() if (language, word) == ("sh", "install")).splitlines()[0]
    assert setup.startswith("meson setup build-rpc -Donly_rpc=true ")
    small = tmp_path / "build"
    subprocess.run(["meson", "setup", "-Donly_rpc=true", f"--prefix={tmp_path}/prefix", str(small), str(ROOT)], check=True, stdout=subprocess.DEVNULL)
    names = {name.removeprefix(f"{tmp_path}/prefix/") for name in installed(small)}
    whole = {name.removeprefix("/usr/local/") for name in installed(build())}
    programs = {name for name in whole if name.startswith("bin/") and name != "bin/protoc-gen-sky"}
    assert names == whole - programs
