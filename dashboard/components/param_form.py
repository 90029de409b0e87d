"""A job's parameters as form fields, made from its pydantic model: so a new job brings its own form.

The model stays the judge of the values: the fields only suggest, and what they hold goes through its validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
import streamlit as st

from jobs.core.jobs import Params

Schema = Mapping[str, Any]  # a JSON schema: its values are what JSON has

# A browser's numbers are exact up to here, and Streamlit's number field refuses what is wider.
_WIDEST = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter: what to show for it, and how to read what was filled in."""

    name: str
    kind: str
    """boolean, integer, number, choice, text, or json for what has no field of its own."""
    description: str
    default: Any
    optional: bool
    required: bool
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None

    @property
    def label(self) -> str:
        """The name as words, and what it means."""
        words = self.name.replace("_", " ").capitalize()
        return f"{words}: {self.description}" if self.description else words


def fields_of(model: type[Params]) -> list[Field]:
    """The parameters of a model in its order."""
    schema = _schema(model)
    required = set(schema.get("required", ()))
    return [
        _field(name, {"default": _made(model, name), **prop}, schema.get("$defs", {}), required=name in required)
        for name, prop in schema.get("properties", {}).items()
    ]


@lru_cache(maxsize=256)
def _schema(model: type[Params]) -> Schema:
    return model.model_json_schema()


def _made(model: type[Params], name: str) -> Any:
    """What a default factory makes, which no schema tells; None for nothing."""
    factory = model.model_fields[name].default_factory
    return None if factory is None else model.model_fields[name].get_default(call_default_factory=True)


def _field(name: str, prop: Schema, defs: Mapping[str, Schema], *, required: bool) -> Field:
    variants = [_resolved(variant, defs) for variant in prop.get("anyOf", [prop])]
    meant = [variant for variant in variants if variant.get("type") != "null"]
    one = meant[0] if len(meant) == 1 else {}
    kind = "choice" if "enum" in one else {"string": "text"}.get(one.get("type", ""), one.get("type", ""))
    least, most = one.get("minimum"), one.get("maximum")
    if kind == "integer":
        least = one["exclusiveMinimum"] + 1 if "exclusiveMinimum" in one else least
        most = one["exclusiveMaximum"] - 1 if "exclusiveMaximum" in one else most
        if any(bound is not None and abs(bound) > _WIDEST for bound in (least, most)):
            kind = "text"  # the model reads it as a number again
    return Field(
        name=name,
        kind=kind if kind in ("boolean", "integer", "number", "choice", "text") else "json",
        description=prop.get("description", ""),
        default=prop.get("default"),
        optional=len(meant) < len(variants),
        required=required,
        choices=tuple(str(value) for value in one.get("enum", ())),
        least=least,
        most=most,
    )


def _resolved(variant: Schema, defs: Mapping[str, Schema]) -> Schema:
    return defs[str(variant["$ref"]).rsplit("/", 1)[-1]] if "$ref" in variant else variant


def draw_fields(model: type[Params], *, key: str, given: Mapping[str, Any]) -> None:
    """The fields, filled with `given` or with the defaults; each holds its value under `<key>-<name>`."""
    for field in fields_of(model):
        _draw(field, f"{key}-{field.name}", given.get(field.name, field.default))


def _draw(field: Field, key: str, value: Any) -> None:
    if field.kind == "boolean":
        st.checkbox(field.label, value=bool(value), key=key)
    elif field.kind in ("integer", "number"):
        cast = int if field.kind == "integer" else float
        st.number_input(
            field.label,
            min_value=None if field.least is None else cast(field.least),
            max_value=None if field.most is None else cast(field.most),
            value=None if value is None else cast(value),
            step=cast(1),
            key=key,
            placeholder="empty",
        )
    elif field.kind == "choice":
        chosen = field.choices.index(str(value)) if str(value) in field.choices else None
        st.selectbox(field.label, field.choices, index=chosen, key=key, placeholder="empty")
    elif field.kind == "text":
        st.text_input(field.label, value="" if value is None else str(value), key=key, placeholder="empty")
    else:
        st.text_area(f"{field.label} (JSON)", value=orjson.dumps(value).decode(), key=key, height=88)


def read_fields(model: type[Params], *, key: str) -> dict[str, Any]:
    """What the fields hold, for the model to judge; an empty one counts as not given."""
    values: dict[str, Any] = {}
    for field in fields_of(model):
        value = st.session_state.get(f"{key}-{field.name}")
        value = value.strip() if isinstance(value, str) else value
        if field.kind == "json" and value:
            with suppress(orjson.JSONDecodeError):  # then the model says what it expected instead
                value = orjson.loads(value)
        if value is None or (value == "" and (field.optional or field.required)):
            if field.required:
                continue
            value = None
        values[field.name] = value
    return values
