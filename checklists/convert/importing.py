"""A Markdown file from somebody's disk as the text of a definition's file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import orjson

from checklists.convert.draft import Remark
from checklists.convert.markdown_in import read_markdown
from checklists.convert.yaml_out import definition_yaml
from checklists.load import LARGEST_FILE
from checklists.schema import Template
from jobs.core.errors import NexaError, NotFound, UsageError


@dataclass(frozen=True, slots=True)
class Definition:
    """What was read: the definition, its file's text, and what it does not hold."""

    template: Template
    text: str
    remarks: tuple[Remark, ...]


def import_file(path: Path, *, bullets: bool = False, second_person: bool = False) -> Definition:
    """The definition that a Markdown file describes; see `read_markdown`.

    Raises NotFound, or UsageError that names the file, with one sentence about what cannot be read.
    """
    try:
        source = _text(path)
        found = read_markdown(source, path.stem, bullets=bullets, second_person=second_person)
        # Its JSON is shorter than its YAML, and at once made.
        fits = len(orjson.dumps(found.template.canonical())) <= LARGEST_FILE
        text = definition_yaml(found.template, path.name, found.remarks) if fits else ""
        if not 0 < len(text.encode()) <= LARGEST_FILE:
            raise UsageError(f"As a definition it is larger than {LARGEST_FILE // 1024} KiB: split the list.")
    except (NotFound, UsageError) as error:
        raise type(error)(f"{path} cannot be imported. {error}") from error
    return Definition(found.template, text, found.remarks)


def write_new(path: Path, content: bytes) -> None:
    """Writes a file that is not there yet, so that nothing is overwritten; NexaError with one sentence."""
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        raise UsageError(f"{path} is there already: name another file.") from None
    except OSError as error:
        raise NexaError(
            f"{path} cannot be written ({error.strerror}): check the folder and its permissions."
        ) from error


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise NotFound("There is no such file: check the path.") from None
    except OSError as error:
        raise UsageError(f"It cannot be read ({error.strerror}): check the path and its permissions.") from error
    if len(raw) > LARGEST_FILE:
        raise UsageError(f"It is larger than {LARGEST_FILE // 1024} KiB: split the list.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UsageError(f"It is not a text in UTF-8 (line {line}): save it as UTF-8.") from error
    if "\0" in text:
        raise UsageError("It is not a text, it holds zero bytes: choose a Markdown file.")
    return text
