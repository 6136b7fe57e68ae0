"""What the services have stored, read from outside: the SQLite files that a running or ended system left in its data folder."""

import sqlite3
import subprocess
import tempfile
from contextlib import closing
from functools import lru_cache
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

from support.contracts import ROOT

RECORD = "sky.service.v1.EventRecord"
# service -> collection -> type of its documents
COLLECTIONS = {
    "account": {"accounts": "AccountDocument", "users": "UserDocument", "ledger": "LedgerEntry"},
    "package": {"packages": "PackageDocument"},
    "dronescheduler": {"drones": "DroneDocument", "bases": "BaseDocument", "zones": "ZoneDocument", "assignments": "AssignmentDocument",
                       "drone_events": RECORD},
    "delivery": {"deliveries": "DeliveryDocument", "confirmations": "ConfirmationDocument", "notify_me_requests": "NotifyMeDocument",
                 "secrets": "SecretDocument", "delivery_events": RECORD},
    "workflow": {"sagas": "Saga", "leases": "Lease", "saga_events": RECORD},
}


@lru_cache
def _pool() -> descriptor_pool.DescriptorPool:
    """The contracts and the services' own storage messages, which no client ever gets to see."""
    sources = sorted(path for name in COLLECTIONS for path in (ROOT / "services" / name).glob("*_store.proto"))
    folders = [ROOT / "proto", ROOT / ".tools/proto", ROOT / "services"]
    pool = descriptor_pool.DescriptorPool()
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run(["protoc", *(f"-I{folder}" for folder in folders), "--include_imports", f"--descriptor_set_out={file.name}",
                        "sky/service/v1/event_log.proto", *(f"fabrikam/events/v1/{path.name}" for path in (ROOT / "proto/fabrikam/events/v1").glob("*.proto")),
                        *(str(path.relative_to(ROOT / "services")) for path in sources)], check=True, cwd=ROOT)
        for described in descriptor_pb2.FileDescriptorSet.FromString(Path(file.name).read_bytes()).file:
            pool.Add(described)
    return pool


def _type(service: str, collection: str):
    name = COLLECTIONS[service][collection]
    full = name if "." in name else f"fabrikam.{service}.store.v1.{name}"
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(full))


def documents(system, service: str, collection: str) -> list[dict]:
    """Every document of a collection, as canonical JSON would say it."""
    file = system.store_files()[service]
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as connection:
        rows = connection.execute(f'SELECT _document FROM "{collection}" ORDER BY rowid').fetchall()
    described = _type(service, collection)
    return [json_format.MessageToDict(described.FromString(row[0]), descriptor_pool=_pool()) for row in rows]


def histories(system, service: str, collection: str) -> dict[str, list[tuple[str, dict]]]:
    """The event logs of a collection by aggregate: (name of the event, the event) in order. The log itself must be without gaps."""
    by_aggregate: dict[str, list[dict]] = {}
    for record in documents(system, service, collection):
        by_aggregate.setdefault(record["aggregateId"], []).append(record)
    found = {}
    for aggregate, records in by_aggregate.items():
        records.sort(key=lambda record: int(record["version"]))
        assert [int(record["version"]) for record in records] == list(range(1, len(records) + 1)), f"log of {aggregate} has gaps"
        found[aggregate] = [(event["@type"].rpartition(".")[2], event) for record in records for event in record.get("events", [])]
    return found
