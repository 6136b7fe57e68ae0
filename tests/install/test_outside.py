"""The greeter copied out of the tree, built by make and by meson against the installed framework with nothing but pkg-config and protoc."""

import shutil
from pathlib import Path

import pytest

from install import greeter

ROOT = Path(__file__).parents[2]


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "examples/greeter", tmp_path / "greeter"))


def test_by_make(installation, outside: Path):
    installation.run("make", "-j2", cwd=outside, CC="ccache gcc")
    greeter.check(outside)


def test_by_meson(installation, outside: Path):
    installation.run("meson", "setup", "build", cwd=outside, CC="ccache gcc")
    installation.run("ninja", "-C", "build", cwd=outside)
    greeter.check(outside / "build")


def test_every_header_stands_alone(installation, tmp_path: Path):
    """Each is included first in a file of its own, as pedantic C17, and finds all it needs."""
    include = installation.prefix / "include"
    flags = installation.run("pkg-config", "--cflags", "skyhook-rpc", cwd=tmp_path).split()
    headers = [path.relative_to(include).as_posix() for path in sorted((include / "sky").rglob("*.h")) if "sky/proto" not in path.as_posix()]
    headers += [path.relative_to(include / "sky/proto").as_posix() for path in sorted((include / "sky/proto").rglob("*.sky.h"))]
    assert {"sky/rpc/server.h", "sky/rpc/client.h", "google/protobuf/timestamp.sky.h"} <= set(headers)
    for number, header in enumerate(headers):
        (tmp_path / f"{number}.c").write_text(f"#include <{header}>\n#include <{header}>\n")
    installation.run("gcc", "-std=gnu17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", *flags,
                     *(f"{number}.c" for number in range(len(headers))), cwd=tmp_path)


def test_internal_headers_stay_inside(installation):
    internal = {path.name for path in (ROOT / "lib/sky").rglob("*.h") if "(internal)" in path.read_text()}
    assert "server_internal.h" in internal
    assert not internal & {path.name for path in installation.prefix.rglob("*.h")}


def test_a_contract_may_use_the_options(installation, tmp_path: Path):
    """sky/options/v1/options.proto comes along; its path is asked of pkg-config."""
    (tmp_path / "thing.proto").write_text("""syntax = "proto3";
package outside.v1;
import "sky/options/v1/options.proto";
option (sky.options.v1.file).c_prefix = "thing";
message Thing { string name = 1; }
""")
    plugin, protos = (installation.run("pkg-config", f"--variable={name}", "skyhook-rpc", cwd=tmp_path).strip() for name in ("plugin", "protodir"))
    installation.run("protoc", f"--plugin=protoc-gen-sky={plugin}", "--sky_out=.", "-I.", f"-I{protos}", "thing.proto", cwd=tmp_path)
    flags = installation.run("pkg-config", "--cflags", "skyhook-rpc", cwd=tmp_path).split()
    assert "thing_Thing_INIT" in (tmp_path / "thing.sky.h").read_text()
    installation.run("gcc", "-fsyntax-only", *flags, "thing.sky.c", "thing.pb-c.c", cwd=tmp_path)
