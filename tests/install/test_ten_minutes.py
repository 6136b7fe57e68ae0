"""docs/ten-minutes.md, followed to the letter: it is installed as it says, its files are written, its commands run, and what it says a program
says is compared. Only the folder of the small build and the port are others.

A block's words after its language tell: `c server.c` is a file, `sh install` is run in Skyhook's folder, `sh` in an empty one, `text` is not, and
`text said` is what the file `said` must hold.
"""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from dev.process import Process

from support.contracts import build
from support.programs import free_port

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+) ?([\w.]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PORT = "50551"
SMALL_BUILD = build() / "build-rpc"  # stays, so that only what has changed is compiled again


def blocks() -> list[tuple[str, str, str]]:
    return BLOCK.findall((ROOT / "docs/ten-minutes.md").read_text())


def install_script() -> str:
    text = next(text for language, word, text in blocks() if (language, word) == ("sh", "install"))
    assert text.startswith("meson setup build-rpc -Donly_rpc=true ")
    if (SMALL_BUILD / "build.ninja").exists():
        text = text.replace("meson setup ", "meson setup --reconfigure ")
    return text.replace("build-rpc", str(SMALL_BUILD))


def script(port: int) -> str:
    """All that is to be typed, in order."""
    lines = ["trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"]
    for language, word, text in blocks():
        text = text.replace(PORT, str(port))
        if language == "sh" and not word:
            lines.append(text)
        elif language in ("c", "proto"):
            lines.append(f"cat > {word} <<'END_OF_FILE'\n{text}END_OF_FILE")
        elif language == "text" and word:
            lines.append(f"diff - {word} <<'END_OF_FILE'\n{text}END_OF_FILE")
    return "\n".join(lines)


def type_in(commands: str, home: Path, folder: Path) -> None:
    """Whatever it starts ends with it."""
    shell = Process("bash", ["bash", "-ec", commands], {**os.environ, "HOME": str(home)}, home / "bash.log", folder)
    shell.start()
    try:
        code = shell.wait(300)
    finally:
        shell.kill()
    assert code == 0, f"{code}: {shell.log.read_text()[-4000:]}"


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Of somebody who has installed Skyhook as the page says."""
    home = tmp_path_factory.mktemp("home")
    type_in(install_script(), home, ROOT)
    return home


def test_the_page_works(home: Path, tmp_path: Path):
    type_in(script(free_port()), home, tmp_path)
    assert (tmp_path / "said").exists()


def test_the_page_has_all_its_parts():
    found = {(language, word) for language, word, _ in blocks()}
    assert {("sh", "install"), ("proto", "counter.proto"), ("c", "server.c"), ("c", "client.c"), ("sh", ""), ("text", "said")} <= found


def installed(folder: Path) -> set[str]:
    answer = subprocess.run(["meson", "introspect", "--installed", str(folder)], stdout=subprocess.PIPE, check=True)
    return set(json.loads(answer.stdout).values())


def test_the_small_build_installs_the_same(home: Path):
    """What -Donly_rpc=true installs is what the whole build installs, but for its programs."""
    prefix = home / "skyhook"
    names = {path.relative_to(prefix).as_posix() for path in prefix.rglob("*") if not path.is_dir()}
    whole = {name.removeprefix("/usr/local/") for name in installed(build())}
    programs = {name for name in whole if name.startswith("bin/") and name != "bin/protoc-gen-sky"}
    assert names == whole - programs
