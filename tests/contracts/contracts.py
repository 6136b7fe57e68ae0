"""What the contract checks share: where things are, how buf is called, and the contracts as one image (a JSON FileDescriptorSet with
all options resolved), so that the checks need nothing but Python and buf."""

import json
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools"
BUF = TOOLS / "bin/buf"
BASELINE = ROOT / "proto/baseline.binpb"

# buf's own exit code for "the contracts have problems", as opposed to "buf could not do it".
FOUND_PROBLEMS = 100


class ToolMissing(Exception):
    """A tool that ./dev installs is not there. Failing is right: a check that skips itself checks nothing."""


def need_tools() -> None:
    for path, what in ((BUF, "buf"), (TOOLS / "proto/buf/validate/validate.proto", "the third-party contracts")):
        if not path.exists():
            raise ToolMissing(f"{what} is missing ({path.relative_to(ROOT)}); ./dev test installs it")


def buf(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    need_tools()
    return subprocess.run([str(BUF.resolve()), *arguments], cwd=cwd, text=True, capture_output=True, timeout=60, check=False)


def image(source: Path = ROOT / "proto", cwd: Path = ROOT) -> dict:
    """The contracts of a folder, or those of an image written earlier."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "image.json"
        done = buf("build", str(source), "--exclude-source-info", "-o", str(target), cwd=cwd)
        if done.returncode != 0:
            raise AssertionError(f"buf build {source}: {done.stderr or done.stdout}")
        return json.loads(target.read_text())


@contextmanager
def workspace(contracts: Path | str) -> Iterator[Path]:
    """A folder with our buf.yaml around other contracts: those of a folder, or one file with this text."""
    need_tools()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        if isinstance(contracts, Path):
            shutil.copytree(contracts, copy / "proto")
        else:
            (copy / "proto/sample/v1").mkdir(parents=True)
            (copy / "proto/sample/v1/sample.proto").write_text(contracts)
        shutil.copy(ROOT / "buf.yaml", copy)
        (copy / ".tools").symlink_to(TOOLS.resolve())
        yield copy


def last_release() -> str | None:
    """The newest release tag in HEAD's history, if git and tags are at hand (a tarball or a shallow clone has none)."""
    try:
        done = subprocess.run(["git", "describe", "--tags", "--abbrev=0", "--match", "v[0-9]*"], cwd=ROOT, text=True,
                              capture_output=True, timeout=20, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


@contextmanager
def released() -> Iterator[Path]:
    """The contracts as last released, in a form that buf takes: the folder at the release tag, or else the committed image."""
    tag = last_release()
    if tag is None:
        yield BASELINE
        return
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "archive", tag, "proto"], cwd=ROOT, capture_output=True, timeout=60, check=True)
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, timeout=60, check=True)
        with workspace(Path(folder) / "proto") as copy:
            yield copy / "proto"


# --- reading an image ---


def own_files(contracts: dict) -> list[dict]:
    return [file for file in contracts["file"] if not file.get("bufExtension", {}).get("isImport")]


def option(thing: dict, name: str) -> dict:
    return thing.get("options", {}).get(f"[{name}]", {})


def messages(contracts: dict) -> dict[str, dict]:
    """Every message, imported ones too, by full name."""
    found: dict[str, dict] = {}

    def add(prefix: str, message: dict) -> None:
        name = f"{prefix}.{message['name']}"
        found[name] = message
        for nested in message.get("nestedType", []):
            add(name, nested)

    for file in contracts["file"]:
        for message in file.get("messageType", []):
            add(file["package"], message)
    return found


def own_messages(contracts: dict) -> dict[str, dict]:
    return messages({"file": own_files(contracts)})


def methods(contracts: dict) -> Iterator[tuple[str, dict]]:
    """Every method of ours with its full name."""
    for file in own_files(contracts):
        for service in file.get("service", []):
            for method in service["method"]:
                yield f"{file['package']}.{service['name']}.{method['name']}", method


VERBS = ("get", "put", "post", "delete", "patch")


def routes(method: dict) -> Iterator[tuple[str, str, dict]]:
    """(verb, path, rule) of each REST route of a method."""
    rule = option(method, "google.api.http")
    for each in [rule, *rule.get("additionalBindings", [])]:
        for verb in VERBS:
            if verb in each:
                yield verb.upper(), each[verb], each


def resolve(contracts: dict, message: str, path: str) -> dict | None:
    """The field that a dotted path names in a message (".pkg.Name" or "pkg.Name"), or None."""
    known = messages(contracts)
    field = None
    for name in path.split("."):
        fields = known.get(message.lstrip("."), {}).get("field", [])
        field = next((each for each in fields if each["name"] == name), None)
        if field is None:
            return None
        message = field.get("typeName", "")
    return field
