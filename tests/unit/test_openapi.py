"""The API's description is a document that other programs can generate clients from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator

from dashboard.api.app import ENDPOINTS, PREFIX
from dashboard.api.openapi import describe
from jobs.core.permissions import Scope

DOCUMENT = describe(ENDPOINTS, PREFIX)
OPERATIONS = [
    (path, method, operation) for path, item in DOCUMENT["paths"].items() for method, operation in item.items()
]


def _refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _refs(item)


def test_every_reference_leads_somewhere_and_every_schema_is_one() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert {ref.rpartition("/")[2] for ref in _refs(DOCUMENT)} == set(schemas)
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)


def test_every_endpoint_is_described_once_and_by_an_id_of_its_own() -> None:
    assert {(path, method) for path, method, _ in OPERATIONS} == {(one.path, one.method.lower()) for one in ENDPOINTS}
    bodies = [medium for _, _, one in OPERATIONS for medium in one.get("requestBody", {}).get("content", ())]
    assert len(bodies) == sum("body" in endpoint.models for endpoint in ENDPOINTS)
    ids = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(ids)) == len(ids)


def test_every_operation_names_its_path_its_scope_and_how_it_may_end() -> None:
    for path, method, operation in OPERATIONS:
        declared = {one["name"] for one in operation["parameters"] if one["in"] == "path" and one["required"]}
        assert declared == set(re.findall(r"\{(\w+)\}", path))
        assert operation["summary"].endswith("."), path
        assert Scope(operation["security"][0]["token"][0])
        assert {"401", "403", "429"} < set(operation["responses"])
        assert ("requestBody" in operation) <= (method != "get")
        for parameter in operation["parameters"]:
            Draft202012Validator.check_schema(parameter["schema"])


def test_what_a_body_needs_is_what_its_model_needs() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["PauseRequest"]["required"] == ["reason"]
    assert schemas["PauseRequest"]["additionalProperties"] is False
    assert schemas["RunRequest"]["properties"]["dry_run"]["type"] == "boolean"
