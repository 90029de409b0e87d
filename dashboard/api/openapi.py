"""The API's own description, OpenAPI 3.1, made from the endpoints and the models that parse their requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from dashboard.api.endpoint import Endpoint
from dashboard.api.errors import MEDIA_TYPE, ProblemDocument
from dashboard.api.outcomes import HEADER, KEPT_HOURS
from jobs.core.permissions import SCOPES, Right, Scope

_REF = "#/components/schemas/{model}"
_EVERYWHERE = (401, 403, 406, 422, 429, 503)
_CHANGES = (400, 408, 409, 413, 415)
Json = dict[str, Any]
Refs = Mapping[tuple[type[Any], JsonSchemaMode], Json]


def describe(endpoints: Sequence[Endpoint], prefix: str) -> Json:
    """The document for these endpoints, found under `prefix`."""
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [(ProblemDocument, "serialization")]
    for endpoint in endpoints:
        wanted += [(model, "validation") for name, model in endpoint.models.items() if name == "body"]
        wanted.append((endpoint.models["return"], "serialization"))
    refs, schemas = models_json_schema(list(dict.fromkeys(wanted)), ref_template=_REF)
    paths: Json = {}
    for endpoint in endpoints:
        described = _operation(endpoint, refs)
        there = paths.setdefault(endpoint.path, {}).setdefault(endpoint.method.lower(), described)
        if there is not described:  # the same with a body in another medium
            there["requestBody"]["content"] |= described["requestBody"]["content"]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "NexaFX Ops",
            "version": version("nexaops"),
            "description": "Jobs, feature flags and checklists, for programs with a token.",
        },
        "servers": [{"url": prefix}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "Made by `nexaops tokens create`."}
            },
        },
    }


def _operation(endpoint: Endpoint, refs: Refs) -> Json:
    models = endpoint.models
    operation: Json = {
        "operationId": f"{endpoint.handle.__module__.rpartition('.')[2]}_{endpoint.handle.__name__}",
        "summary": endpoint.does,
        "description": f"Takes the scope `{_scope(endpoint.right)}`.",
        "security": [{"token": [_scope(endpoint.right)]}],
        "parameters": [
            *_parameters(models.get("place"), "path"),
            *_parameters(models.get("query"), "query"),
            *([_KEY] if endpoint.method == "POST" else []),
        ],
        "responses": _responses(endpoint, refs),
    }
    if "body" in models:
        schema = refs[models["body"], "validation"]
        needed = any(field.is_required() for field in models["body"].model_fields.values())
        operation["requestBody"] = {"required": needed, "content": {endpoint.takes: {"schema": schema}}}
    return operation


def _responses(endpoint: Endpoint, refs: Refs) -> Json:
    schema = refs[endpoint.models["return"], "serialization"]
    done: Json = {
        "description": HTTPStatus(endpoint.status).phrase,
        "content": {"application/json": {"schema": schema}},
    }
    if endpoint.location is not None:
        done["headers"] = {"Location": {"description": "Where it is found.", "schema": {"type": "string"}}}
    statuses = {*_EVERYWHERE, *(_CHANGES if endpoint.method != "GET" else ())}
    statuses |= {404} if "{" in endpoint.path else set()
    problem = {MEDIA_TYPE: {"schema": refs[ProblemDocument, "serialization"]}}
    return {
        str(endpoint.status): done,
        **{str(status): {"description": HTTPStatus(status).phrase, "content": problem} for status in sorted(statuses)},
    }


def _parameters(model: type[BaseModel] | None, place: str) -> list[Json]:
    """One parameter a field; fields of a path or a query are plain values, so nothing refers elsewhere."""
    if model is None:
        return []
    schema = model.model_json_schema()
    required = set(schema.get("required", []))
    return [
        {"name": name, "in": place, "required": name in required, "schema": _inlined(field, schema.get("$defs", {}))}
        for name, field in schema["properties"].items()
    ]


def _inlined(value: Any, definitions: Json) -> Any:
    if isinstance(value, dict):
        if "$ref" in value:
            return _inlined(definitions[value["$ref"].rpartition("/")[2]], definitions)
        return {name: _inlined(item, definitions) for name, item in value.items()}
    return [_inlined(item, definitions) for item in value] if isinstance(value, list) else value


def _scope(right: Right) -> Scope:
    return next(scope for scope, granted in SCOPES.items() if granted is right)


_KEY: Json = {
    "name": HEADER.title(),
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
    "description": f"A repeated request with the same key within {KEPT_HOURS} hours is answered as the first was, and does"
    " nothing.",
}
