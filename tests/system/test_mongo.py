"""The main job with every store on a MongoDB-wire server (one replica of each service), and its documents in the hands of an ordinary client."""

import pymongo
import pytest

from support import fleet


@pytest.fixture(scope="module")
def system(start_system):
    return start_system(store="ferretdb", time_factor=100.0, drones=20)


def read_all(url: str) -> dict[str, list[dict]]:
    """database.collection -> its documents."""
    with pymongo.MongoClient(url, serverSelectionTimeoutMS=5000) as client:
        names = [name for name in client.list_database_names() if name not in ("admin", "config", "local")]
        return {f"{name}.{collection}": list(client[name][collection].find())
                for name in names for collection in client[name].list_collection_names()}


def test_deliveries_complete_and_every_document_can_be_read(system, http, owner):
    ids = [fleet.accepted(http, fleet.order(owner)) for _ in range(8)]
    for id in ids:
        fleet.at_stage(http, id, "COMPLETED", seconds=120)
    documents = read_all(system.setup.store_url())
    assert all(document["_id"] for found in documents.values() for document in found)
    for id in ids:
        holders = {name.partition(".")[0] for name, found in documents.items() if any(id in str(document) for document in found)}
        assert holders >= {"delivery", "workflow", "package", "dronescheduler"}, holders


def test_no_file_was_written_instead(system):
    assert system.store_files() == {}
