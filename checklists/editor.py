"""The JSON Schema (draft 2020-12) of definitions, for editors that complete and check YAML while it is written.

It comes from the same models that judge a definition, with the short forms that those models also read: a sentence for an
item, a name for a check, mappings for fields and choices, ids that follow from the words.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from checklists.schema import Template

Schema: TypeAlias = dict[str, Any]  # JSON Schema is as open as JSON

_DURATION = {"type": "string", "pattern": "^[1-9][0-9]{0,4}[mhdwy]$", "examples": ["15m", "24h", "90d"]}
# What a definition may leave out, because it follows from something else there.
_DERIVED = {
    "Item": ("id",),
    "Phase": ("title",),
    "SummaryField": ("id", "title"),
    "SignOff": ("title",),
    "Choice": ("id",),
}


def editor_schema() -> Schema:
    """The schema as one JSON document."""
    document = Template.model_json_schema(by_alias=True)
    defs: dict[str, Schema] = document["$defs"]
    for name, parts in _DERIVED.items():
        defs[name]["required"] = [part for part in defs[name].get("required", ()) if part not in parts]
    for schema in (document, *defs.values()):
        for name, part in schema.get("properties", {}).items():
            schema["properties"][name] = _plain(part)
    for name in ("SummaryField", "Choice"):
        del defs[name]["properties"]["id"]
    document["properties"]["fields"] = _by_name("SummaryField")
    choice = {"anyOf": [{"const": "next"}, {"$ref": "#/$defs/Choice"}]}
    defs["Item"]["properties"]["decide"] = {**_by_name("Choice"), "additionalProperties": choice, "minProperties": 2}
    defs["Item"] = {"anyOf": [{"type": "string", "minLength": 1}, defs["Item"]]}
    defs["Check"] = {"anyOf": [{"type": "string"}, defs["Check"]]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **document, "title": "A checklist"}


def _by_name(model: str) -> Schema:
    return {"type": "object", "additionalProperties": {"$ref": f"#/$defs/{model}"}}


def _plain(part: Schema) -> Schema:
    """A property without its default, which editors would fill in, and with durations as they are written."""
    kept = {name: value for name, value in part.items() if name not in {"default", "title"}}
    if kept.get("format") == "duration":
        return dict(_DURATION)
    if "anyOf" in kept:
        kept["anyOf"] = [dict(_DURATION) if one.get("format") == "duration" else one for one in kept["anyOf"]]
    return kept
