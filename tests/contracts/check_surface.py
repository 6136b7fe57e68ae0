"""What clients and brokers see beyond the messages, and buf breaking does not guard: REST routes, success codes, scopes, event subjects.
What was released stays: routes may be added, never lost or moved to another method."""

import copy
import unittest
from typing import Callable, Iterator

from contracts import ROOT, image, messages, methods, option, own_messages, released, routes


def surface(contracts: dict) -> dict[str, object]:
    """Everything promised, by a name that a person can find."""
    promised: dict[str, object] = {}
    for name, method in methods(contracts):
        ours = option(method, "sky.options.v1.method")
        if ours.get("audience") != "AUDIENCE_PUBLIC":
            continue
        http = ours.get("http", {})
        for verb, path, rule in routes(method):
            promised[f"{verb} {path}"] = (name, rule.get("body"), rule.get("responseBody"), http.get("status"), http.get("location"),
                                          http.get("createdField"), http.get("idempotencyKeyField"))
        promised[f"scope of {name}"] = (ours.get("scope"), ours.get("anonymous"))
    for name, message in own_messages(contracts).items():
        event = option(message, "sky.options.v1.event")
        if event:
            promised[f"event {event['subject']}"] = (name, event.get("aggregateIdField"), event.get("stream"))
    return promised


def broken(before: dict, after: dict) -> Iterator[str]:
    now = surface(after)
    for what, how in surface(before).items():
        if what not in now:
            yield f"{what} is gone"
        elif now[what] != how:
            yield f"{what} was {how}, is {now[what]}"


class Surface(unittest.TestCase):
    def test_nothing_released_is_broken(self) -> None:
        with released() as before:
            # A folder is built within its own workspace, an image by itself.
            known = image(before, cwd=before.parent if before.is_dir() else ROOT)
        self.assertGreater(len(surface(known)), 50)
        self.assertEqual(list(broken(known, image())), [])


class Bite(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.contracts = image()

    def spoil(self, change: Callable[[dict], object]) -> None:
        contracts = copy.deepcopy(self.contracts)
        change(contracts)
        self.assertNotEqual(list(broken(self.contracts, contracts)), [])

    def options(self, contracts: dict) -> dict:
        return next(method for name, method in methods(contracts) if name.endswith(".CreateDeliveryRequest"))["options"]

    def test_a_moved_route(self) -> None:
        self.spoil(lambda c: self.options(c)["[google.api.http]"].update(post="/api/v1/requests"))

    def test_another_success_code(self) -> None:
        self.spoil(lambda c: self.options(c)["[sky.options.v1.method]"]["http"].update(status=200))

    def test_another_scope(self) -> None:
        self.spoil(lambda c: self.options(c)["[sky.options.v1.method]"].update(scope="everything"))

    def test_a_method_made_internal(self) -> None:
        self.spoil(lambda c: self.options(c)["[sky.options.v1.method]"].update(audience="AUDIENCE_INTERNAL"))

    def test_another_subject(self) -> None:
        event = "fabrikam.events.v1.DeliveryRequested"
        self.spoil(lambda c: messages(c)[event]["options"]["[sky.options.v1.event]"].update(subject="fab.ingestion.other.v1"))

    def test_an_added_route_is_welcome(self) -> None:
        contracts = copy.deepcopy(self.contracts)
        self.options(contracts)["[google.api.http]"]["additionalBindings"] = [{"put": "/api/v1/more", "body": "order"}]
        self.assertEqual(list(broken(self.contracts, contracts)), [])


if __name__ == "__main__":
    unittest.main()
