"""The JSON Schema for editors takes what the models take, and refuses what they refuse."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from checklists.editor import editor_schema
from checklists.load import definition_files
from tests.unit.test_checklist_load import EVERYTHING

VALIDATOR = Draft202012Validator(editor_schema())


def read(text: str) -> Any:
    return json.loads(json.dumps(YAML(typ="safe").load(text), default=str))


@pytest.mark.parametrize("text", [EVERYTHING, *(path.read_text() for path in definition_files())])
def test_every_shipped_definition_is_right_to_an_editor_too(text: str) -> None:
    Draft202012Validator.check_schema(VALIDATOR.schema)
    assert [error.message for error in VALIDATOR.iter_errors(read(text))] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("retain: 7y", "retain: long"),
        ("mode: read-do", "mode: read-doo"),
        ("title: Everything", "titel: Everything"),
        ("effect: block", "effect: blok"),
        ("wait: 15m", "wait: soon"),
        ("continue: next", "continue: onward"),
    ],
)
def test_an_editor_marks_what_lint_would_refuse(old: str, new: str) -> None:
    assert old in EVERYTHING
    assert list(VALIDATOR.iter_errors(read(EVERYTHING.replace(old, new))))
