"""Our own conventions (proto/README.md), which buf does not know: what each method states, what annotations refer to, which validation
rules there are. Each check is a function from an image to problems, and is tried on a spoiled image too."""

import copy
import re
import unittest
from typing import Callable, Iterator

from contracts import ROOT, image, messages, methods, option, own_files, own_messages, resolve, routes

Check = Callable[[dict], Iterator[str]]

# What protoc-gen-sky turns into C; buf.validate knows more (CEL above all), which a C service could not keep.
RULES = {
    "string": {"maxLen", "minLen", "len", "pattern", "uuid", "email", "uri"},
    "bytes": {"maxLen", "minLen"},
    "double": {"gte", "lte", "finite"},
    "int32": {"gte", "lte"},
    "repeated": {"minItems", "maxItems", "items"},
    "enum": {"definedOnly"},
}
# A member of every protobuf-c message, and C's own words that protoc-gen-c does not rename.
UNUSABLE_IN_C = {"base"}


def methods_say_all(contracts: dict) -> Iterator[str]:
    """Every method states its audience and deadline; a public one its route and scope, an internal one its callers."""
    for name, method in methods(contracts):
        ours = option(method, "sky.options.v1.method")
        public = ours.get("audience") == "AUDIENCE_PUBLIC"
        streams = method.get("serverStreaming", False)
        if "audience" not in ours:
            yield f"{name}: no audience"
        if not streams and "deadline" not in ours:
            yield f"{name}: no deadline"
        if public and not list(routes(method)):
            yield f"{name}: public without a route"
        if public and bool(ours.get("scope")) == bool(ours.get("anonymous")):
            yield f"{name}: public with neither or both of scope and anonymous"
        if not public and list(routes(method)):
            yield f"{name}: internal with a route"
        if not public and not ours.get("callers"):
            yield f"{name}: internal without callers"


def verbs_fit(contracts: dict) -> Iterator[str]:
    """GET has no side effects, PUT, PATCH and DELETE may be repeated, PATCH has a mask, 201 and 202 have a Location."""
    for name, method in methods(contracts):
        level = method.get("options", {}).get("idempotencyLevel")
        for verb, path, _ in routes(method):
            if not path.startswith("/api/v1/"):
                yield f"{name}: {path} is not under /api/v1/"
            if verb == "GET" and level != "NO_SIDE_EFFECTS":
                yield f"{name}: GET with side effects"
            if verb in ("PUT", "PATCH", "DELETE") and level not in ("IDEMPOTENT", "NO_SIDE_EFFECTS"):
                yield f"{name}: {verb} that cannot be repeated"
            if verb == "PATCH" and not resolve(contracts, method["inputType"], "update_mask"):
                yield f"{name}: PATCH without update_mask"
        http = option(method, "sky.options.v1.method").get("http", {})
        if http.get("status") == 202 and not http.get("location"):
            yield f"{name}: 202 without a place to ask"


def routes_are_distinct(contracts: dict) -> Iterator[str]:
    """No two methods answer the same verb and path, whatever their variables are called."""
    seen: dict[tuple[str, str], str] = {}
    for name, method in methods(contracts):
        for verb, path, _ in routes(method):
            key = verb, re.sub(r"\{[^}]*\}", "{}", path)
            if key in seen:
                yield f"{name}: {verb} {path} is taken by {seen[key]}"
            seen[key] = name


def annotations_point_at_fields(contracts: dict) -> Iterator[str]:
    """Path variables, bodies, response bodies and HTTP options name fields that exist and have the right type."""
    for name, method in methods(contracts):
        request, response = method["inputType"], method["outputType"]

        def check(message: str, path: str, what: str, kinds: tuple[str, ...]) -> Iterator[str]:
            field = resolve(contracts, message, path)
            if field is None:
                yield f"{name}: {what} names {path}, which is not in {message}"
            elif field["type"] not in kinds:
                yield f"{name}: {what} names {path}, which is a {field['type']}"

        scalar = ("TYPE_STRING", "TYPE_INT32", "TYPE_INT64", "TYPE_ENUM")
        for _, path, rule in routes(method):
            for variable in re.findall(r"\{([^}=]+)", path):
                yield from check(request, variable, "path", scalar)
            if rule.get("body", "*") != "*":
                yield from check(request, rule["body"], "body", ("TYPE_MESSAGE",))
            if rule.get("responseBody"):
                yield from check(response, rule["responseBody"], "response_body", ("TYPE_MESSAGE",))
        http = option(method, "sky.options.v1.method").get("http", {})
        for variable in re.findall(r"\{([^}]+)\}", http.get("location", "")):
            yield from check(response, variable, "location", scalar)
        for key, message, kind in (("createdField", response, "TYPE_BOOL"), ("etagField", response, "TYPE_STRING"),
                                   ("eventIdField", response, "TYPE_STRING"), ("lastEventIdField", request, "TYPE_STRING"),
                                   ("ifMatchField", request, "TYPE_STRING"), ("idempotencyKeyField", request, "TYPE_STRING")):
            if key in http:
                yield from check(message, http[key], key, (kind,))


def excludes_zero(field: dict) -> bool:
    """Do the field's rules refuse it when it is absent?"""
    rules = option(field, "buf.validate.field")
    numeric = next((rules[kind] for kind in ("int32", "double") if kind in rules), {})
    return bool(rules.get("required") or rules.get("string", {}).keys() & {"uuid", "pattern", "email"}
                or int(rules.get("repeated", {}).get("minItems", 0)) > 0 or numeric.get("gte", 0) > 0)


def required_is_enforced(contracts: dict) -> Iterator[str]:
    """What is documented as REQUIRED is refused when absent, and the other way round: clients and validation agree."""
    for name, message in own_messages(contracts).items():
        for field in message.get("field", []):
            behaviour = option(field, "google.api.field_behavior") or []
            rules = option(field, "buf.validate.field")
            if "REQUIRED" in behaviour and not excludes_zero(field):
                yield f"{name}.{field['name']}: REQUIRED, but no rule refuses its absence"
            if "OPTIONAL" in behaviour and rules.get("required"):
                yield f"{name}.{field['name']}: OPTIONAL, but required by its rules"
            if "REQUIRED" in behaviour and rules.get("ignore"):
                yield f"{name}.{field['name']}: REQUIRED, but its rules may be ignored"


def rules_are_known(contracts: dict) -> Iterator[str]:
    """Only rules that the C side evaluates, on fields of the right type, with patterns that RE2 and POSIX read alike."""
    for name, message in own_messages(contracts).items():
        for field in message.get("field", []):
            rules = dict(option(field, "buf.validate.field"))
            rules.pop("required", None)
            rules.pop("ignore", None)
            for kind, details in rules.items():
                if kind not in RULES or not set(details) <= RULES[kind]:
                    yield f"{name}.{field['name']}: rule {kind} {details} is not one of ours"
                elif kind == "repeated" and field["label"] != "LABEL_REPEATED" or \
                        kind != "repeated" and field["type"] != f"TYPE_{kind.upper()}":
                    yield f"{name}.{field['name']}: rule {kind} on a {field['type']}"
            pattern = rules.get("string", {}).get("pattern", "^$")
            if not (pattern.startswith("^") and pattern.endswith("$")) or re.search(r"\\|\(\?|[*+?}]\?", pattern):
                yield f"{name}.{field['name']}: pattern {pattern} is not anchored or not POSIX"


def names_fit_c(contracts: dict) -> Iterator[str]:
    """Every file has a prefix for C, the same within a package; no field has a name that protobuf-c cannot use."""
    prefixes: dict[str, str] = {}
    for file in own_files(contracts):
        prefix = option(file, "sky.options.v1.file").get("cPrefix")
        if not prefix or prefixes.setdefault(file["package"], prefix) != prefix:
            yield f"{file['name']}: c_prefix is {prefix}, the package's is {prefixes.get(file['package'])}"
    for name, message in own_messages(contracts).items():
        for field in message.get("field", []):
            if field["name"] in UNUSABLE_IN_C:
                yield f"{name}.{field['name']}: protobuf-c has a member of that name"


EVENT_HEAD = ("event_id", None, "version", "occur_time")


def events_are_whole(contracts: dict) -> Iterator[str]:
    """Events: subject fab.<context>.<name>.v1, no two alike, and the same first four fields."""
    subjects: set[str] = set()
    for file in own_files(contracts):
        if file["package"] != "fabrikam.events.v1":
            continue
        for message in file.get("messageType", []):
            name = message["name"]
            event = option(message, "sky.options.v1.event")
            snake = re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()
            if not re.fullmatch(rf"fab\.[a-z]+\.{snake}\.v1", event.get("subject", "")) or event["subject"] in subjects:
                yield f"{name}: subject {event.get('subject')}"
            subjects.add(event.get("subject", ""))
            head = [field["name"] for field in message["field"][:4]]
            expected = [each or event.get("aggregateIdField") for each in EVENT_HEAD]
            if head != expected or event.get("eventIdField") != "event_id":
                yield f"{name}: begins with {head}, not with {expected}"


CHECKS: tuple[Check, ...] = (methods_say_all, verbs_fit, routes_are_distinct, annotations_point_at_fields, required_is_enforced,
                             rules_are_known, names_fit_c, events_are_whole)


def method_of(contracts: dict, name: str) -> dict:
    return next(method for full, method in methods(contracts) if full == name)


def field_of(contracts: dict, message: str, name: str) -> dict:
    return next(field for field in messages(contracts)[message]["field"] if field["name"] == name)


class Conventions(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.contracts = image(ROOT / "proto")

    def test_the_image_holds_the_contracts(self) -> None:
        """Guards against checks that pass because they looked at nothing."""
        self.assertGreater(len(list(methods(self.contracts))), 60)
        self.assertGreater(len(own_messages(self.contracts)), 150)

    def test_all_hold(self) -> None:
        for check in CHECKS:
            with self.subTest(check.__name__):
                self.assertEqual(list(check(self.contracts)), [])


class Bite(unittest.TestCase):
    """Each check on an image with one thing spoiled."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.contracts = image(ROOT / "proto")

    def spoil(self, check: Check, change: Callable[[dict], object]) -> None:
        contracts = copy.deepcopy(self.contracts)
        change(contracts)
        self.assertNotEqual(list(check(contracts)), [], f"{check.__name__} overlooks it")

    def test_methods(self) -> None:
        get = "fabrikam.package.v1.PackageService.GetPackage"
        for key in ("audience", "deadline", "scope"):
            self.spoil(methods_say_all, lambda c, key=key: method_of(c, get)["options"]["[sky.options.v1.method]"].pop(key))
        self.spoil(methods_say_all, lambda c: method_of(c, get)["options"].pop("[google.api.http]"))
        self.spoil(verbs_fit, lambda c: method_of(c, get)["options"].pop("idempotencyLevel"))

    def test_routes(self) -> None:
        def same_path(contracts: dict) -> None:
            rule = method_of(contracts, "fabrikam.package.v1.PackageService.ListPackages")["options"]["[google.api.http]"]
            rule["get"] = "/api/v1/packages/{owner_id}"

        self.spoil(routes_are_distinct, same_path)

    def test_annotations(self) -> None:
        put = "fabrikam.package.v1.PackageService.PutPackage"
        rule = lambda c: method_of(c, put)["options"]["[google.api.http]"]
        http = lambda c: method_of(c, put)["options"]["[sky.options.v1.method]"]["http"]
        self.spoil(annotations_point_at_fields, lambda c: rule(c).update(put="/api/v1/packages/{package.ident}"))
        self.spoil(annotations_point_at_fields, lambda c: rule(c).update(body="creator_id"))
        self.spoil(annotations_point_at_fields, lambda c: rule(c).update(responseBody="parcel"))
        self.spoil(annotations_point_at_fields, lambda c: http(c).update(createdField="package"))
        self.spoil(annotations_point_at_fields, lambda c: http(c).update(ifMatchField="etag"))

    def test_rules(self) -> None:
        latitude = lambda c: field_of(c, "fabrikam.common.v1.Location", "latitude")["options"]
        self.spoil(required_is_enforced, lambda c: latitude(c)["[buf.validate.field]"].pop("required"))
        self.spoil(rules_are_known, lambda c: latitude(c)["[buf.validate.field]"].update(cel=[{"id": "x"}]))
        self.spoil(rules_are_known, lambda c: latitude(c)["[buf.validate.field]"].update(string={"maxLen": "3"}))
        owner = lambda c: field_of(c, "fabrikam.common.v1.DeliveryOrder", "owner_id")["options"]["[buf.validate.field]"]
        self.spoil(rules_are_known, lambda c: owner(c)["string"].update(pattern=r"^\d+$"))

    def test_names(self) -> None:
        self.spoil(names_fit_c, lambda c: own_files(c)[0]["options"].pop("[sky.options.v1.file]"))
        self.spoil(names_fit_c, lambda c: field_of(c, "fabrikam.common.v1.Location", "latitude").update(name="base"))

    def test_events(self) -> None:
        requested = lambda c: messages(c)["fabrikam.events.v1.DeliveryRequested"]
        self.spoil(events_are_whole, lambda c: requested(c)["options"]["[sky.options.v1.event]"].update(subject="fab.x.y.v1"))
        self.spoil(events_are_whole, lambda c: requested(c)["field"].reverse())


if __name__ == "__main__":
    unittest.main()
