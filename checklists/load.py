"""Definitions from YAML, with the line of everything that is wrong.

A file is read as nodes, never as Python objects: every scalar stays the text that was written (a version 1.10 is not
1.1, `no` is not false) and only the schema gives it a type. Whatever is wrong becomes a fault with file, line and mend;
a file with faults stays in the list as broken, so that nobody wonders where a checklist went.
"""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from checklists.grammar import odd_character
from checklists.schema import Item, Template
from jobs.core.errors import NexaError, NotFound
from jobs.core.settings import load_settings

DEFINITIONS = Path(__file__).parent / "definitions"
LARGEST_FILE = 256 * 1024
_NULL = "tag:yaml.org,2002:null"

Tree: TypeAlias = "str | list[Tree] | dict[str, Tree] | None"
Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """What is wrong on one line (1 is the first), and what to do about it."""

    file: str
    line: int
    what: str
    mend: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what} — {self.mend}"


@dataclass(frozen=True, slots=True)
class BrokenTemplate:
    """A file that is no definition, and why; `id` is the file's name without its ending."""

    id: str
    file: str
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """A definition together with the lines it was read from."""

    file: str
    template: Template
    lines: Mapping[Place, int]

    def line(self, place: Place) -> int:
        """The line of a place in the file, or of the nearest thing around it."""
        return _nearest(self.lines, place)


class BrokenDefinition(NexaError):
    """A definition that cannot be used; `faults` says where and why."""

    def __init__(self, file: str, faults: list[Fault]) -> None:
        self.faults = tuple(sorted(faults))
        super().__init__(f"{file} is not a usable checklist: {self.faults[0]}")


def read_all(paths: Iterable[Path]) -> list[Source | BrokenTemplate]:
    """Every file as a definition or as broken; of two with the same id, the second is broken."""
    found: list[Source | BrokenTemplate] = []
    owner: dict[str, str] = {}
    for path in paths:
        try:
            source = read_definition(path)
        except BrokenDefinition as broken:
            found.append(BrokenTemplate(path.stem, str(path), broken.faults))
            continue
        first = owner.setdefault(source.template.id, str(path))
        if first == str(path):
            found.append(source)
            continue
        what = f"the id {source.template.id!r} is already that of {first}"
        fault = Fault(str(path), source.line(("id",)), what, "choose another")
        found.append(BrokenTemplate(path.stem, str(path), (fault,)))
    return found


@cache
def definition_folders() -> tuple[Path, ...]:
    """Where definitions are: the shipped ones, and behind them those that the settings of this process name."""
    return (DEFINITIONS, *load_settings().checklists_path)


def definition_files(folder: Path | None = None) -> list[Path]:
    """The files that are taken for definitions, of a folder or of all, by name.

    A folder that cannot be read stands for itself: read as a file it is broken, and says why.
    """
    found: list[Path] = []
    for place in definition_folders() if folder is None else (folder,):
        try:
            found += sorted(path for path in place.iterdir() if path.suffix in {".yaml", ".yml"})
        except OSError:
            found.append(place)
    return found


def load_templates(folder: Path | None = None) -> list[Template | BrokenTemplate]:
    """Every definition of a folder, or of all, by file name; the broken ones among them."""
    found = read_all(definition_files(folder))
    return [source.template if isinstance(source, Source) else source for source in found]


def find_template(template_id: str, folder: Path | None = None) -> Template:
    """The definition with this id; NotFound names those there are, or says why the one that was meant is broken."""
    templates = load_templates(folder)
    for template in templates:
        if template.id == template_id:
            if isinstance(template, Template):
                return template
            raise NotFound(f"The checklist {template_id} is broken: {template.faults[0]}")
    known = [template.id for template in templates]
    close = difflib.get_close_matches(template_id, known, 1)
    meant = f"did you mean {close[0]}?" if close else f"there are {', '.join(known) or 'none'}."
    raise NotFound(f"There is no checklist {template_id!r}: {meant}")


def read_definition(path: Path) -> Source:
    """One file as a definition; BrokenDefinition with every fault that was found."""
    file = str(path)
    lines: dict[Place, int] = {}
    faults: list[Fault] = []
    tree = _tree(path, lines, faults)
    if faults:
        raise BrokenDefinition(file, faults)
    try:
        template = Template.model_validate(tree)
    except ValidationError as error:
        raise BrokenDefinition(file, list(_faults(file, error, tree, lines))) from error
    faults = [Fault(file, _nearest(lines, place), what, mend) for place, what, mend in _contradictions(template)]
    if faults:
        raise BrokenDefinition(file, faults)
    return Source(file, template, lines)


def _tree(path: Path, lines: dict[Place, int], faults: list[Fault]) -> Tree:
    """The file as nested lists, mappings and text, with the line of every place; faults for what YAML refuses."""
    file = str(path)
    try:
        with path.open("rb") as stream:
            raw = stream.read(LARGEST_FILE + 1)
        if len(raw) > LARGEST_FILE:
            faults.append(Fault(file, 1, f"the file is larger than {LARGEST_FILE // 1024} KiB", "split the list"))
            return None
        node = YAML().compose(raw.decode("utf-8"))
        if node is None:
            faults.append(Fault(file, 1, "the file is empty", "start with `schema: 1`, `id:` and `title:`"))
            return None
        return _value(node, (), file, lines, faults)
    except OSError as error:
        faults.append(Fault(file, 1, f"it cannot be read ({error.strerror})", "check the path and its permissions"))
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        faults.append(Fault(file, line, "a byte here is not UTF-8", "save the file as UTF-8"))
    except ReaderError as error:
        faults.append(Fault(file, 1, f"it holds a character that YAML refuses ({error.reason})", "take it out"))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(filter(None, (error.context, error.problem))) or "this is not YAML"
        mend = "check the indentation, and put a sentence with ': ', '#' or a leading '`' in quotes"
        faults.append(Fault(file, mark.line + 1 if mark is not None else 1, what, mend))
    except YAMLError as error:
        faults.append(Fault(file, 1, str(error).splitlines()[0], "check it against a shipped definition"))
    except RecursionError:
        faults.append(Fault(file, 1, "it is nested too deep", "a checklist needs about four levels"))
    return None


def _value(node: Node, place: Place, file: str, lines: dict[Place, int], faults: list[Fault]) -> Tree:
    line = node.start_mark.line + 1
    lines.setdefault(place, line)
    if node.anchor is not None:
        # Also keeps a file of nested aliases from growing without bound.
        faults.append(Fault(file, line, "anchors and aliases are not read here", "write the text out"))
        return None
    if isinstance(node, ScalarNode):
        odd = odd_character(node.value)
        if odd:
            faults.append(
                Fault(file, line, f"the text holds the character {odd}, which shows as something else", "take it out")
            )
        return None if node.tag == _NULL else str(node.value)
    if isinstance(node, SequenceNode):
        return [_value(child, (*place, index), file, lines, faults) for index, child in enumerate(node.value)]
    mapping: dict[str, Tree] = {}
    for key, child in node.value:
        line = key.start_mark.line + 1
        name = key.value if isinstance(key, ScalarNode) else ""
        if not name:
            faults.append(Fault(file, line, "a key here is not a word", "write `key: value`"))
        elif name in mapping:
            first = lines[(*place, name)]
            faults.append(Fault(file, line, f"`{name}` is here twice, first on line {first}", "keep one of them"))
        else:
            lines[(*place, name)] = line
            mapping[name] = _value(child, (*place, name), file, lines, faults)
    return mapping


def _nearest(lines: Mapping[Place, int], place: Place) -> int:
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)


def _faults(file: str, error: ValidationError, tree: Tree, lines: Mapping[Place, int]) -> Iterator[Fault]:
    for one in error.errors(include_url=False):
        place = _written(tree, one["loc"])
        line = _nearest(lines, place)
        name = str(one["loc"][-1]) if one["loc"] else "the file"
        given = one["input"]
        match one["type"]:
            case "extra_forbidden":
                yield Fault(file, line, f"`{name}` is not a key here", _meant(name, _keys_at(one["loc"][:-1])))
            case "missing":
                yield Fault(file, line, f"`{name}` is missing", f"add `{name}:`")
            case "literal_error" | "enum":
                accepted = [word.strip(" '") for word in one["ctx"]["expected"].replace(" or ", ", ").split(",")]
                yield Fault(file, line, f"{given!r} is not accepted for `{name}`", _meant(str(given), accepted))
            case "value_error":
                what, _, mend = str(one["ctx"]["error"]).partition(" — ")
                yield Fault(file, line, what, mend)
            case "string_pattern_mismatch" if name == "use" or one["loc"][-2:-1] == ("check",):
                yield Fault(
                    file, line, f"{given!r} is not the name of a check", "write family.name, such as database.indexes"
                )
            case "string_pattern_mismatch" if name == "id" or "after" in one["loc"]:
                yield Fault(file, line, f"{given!r} is not an id", "use lower-case letters, digits, - and _")
            case _:
                yield Fault(file, line, f"`{name}`: {one['msg'].lower()}", "check it against a shipped definition")


def _written(tree: Tree, loc: Place) -> Place:
    """Where the file has what pydantic found wrong: the summary fields are a mapping there and a list in the model."""
    place: list[str | int] = []
    for part in loc:
        key = list(tree)[part] if isinstance(part, int) and isinstance(tree, dict) else part
        if isinstance(tree, dict) and isinstance(key, str):
            tree = tree.get(key)
        elif isinstance(tree, list) and isinstance(key, int):
            tree = tree[key]
        place.append(key)
    return tuple(place)


def _keys_at(loc: Place) -> list[str]:
    """The keys that the model at this place knows, as they are written."""
    model: type[BaseModel] = Template
    for part in loc:
        if isinstance(part, str) and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation if issubclass(annotation, BaseModel) else None
    return next(filter(None, map(_model_in, typing.get_args(annotation))), None)


def _meant(given: str, known: list[str]) -> str:
    close = difflib.get_close_matches(given.lower(), known, 1)
    if close:
        return f"did you mean `{close[0]}`?"
    if " " in given:
        return "put the whole sentence in quotes, it holds ': '"
    return f"known here: {', '.join(known)}"


def _contradictions(template: Template) -> Iterator[tuple[Place, str, str]]:
    """What the models cannot see one by one: ids that are used twice, phases that wait for what never comes."""
    order: dict[str, int] = {}
    for index, phase in enumerate(template.phases):
        if phase.id in order:
            yield ("phases", index, "id"), f"a second phase has the id {phase.id!r}", "choose another"
        order.setdefault(phase.id, index)
        yield from _twice(phase.items, ("phases", index, "items"))
    for index, phase in enumerate(template.phases):
        for number, name in enumerate(phase.after):
            place = ("phases", index, "after", number)
            if name not in order:
                yield place, f"there is no phase {name!r} to come after", _meant(name, list(order))
            elif order[name] >= index:
                yield place, f"{phase.id!r} cannot come after {name!r}, which is not above it", "change their order"
    names = [field.id for field in template.fields]
    for index, phase in enumerate(template.phases):
        for at, item in _all(phase.items, ("phases", index, "items")):
            field = item.when.field if item.when is not None else None
            if field is not None and field not in names:
                yield (*at, "when"), f"there is no field {field!r} to look at", _meant(field, names)
            notice = item.action.notice if item.action is not None else None
            for named in notice.places if notice is not None else ():
                if named not in names:
                    yield (*at, "action"), f"there is no field {named!r} for the notice to name", _meant(named, names)
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield ("fields",), f"two fields have the id {name!r}", "choose another"


def _twice(items: tuple[Item, ...], place: Place) -> Iterator[tuple[Place, str, str]]:
    seen: set[str] = set()
    for index, item in enumerate(items):
        if item.id in seen:
            yield (*place, index), f"a second item here has the id {item.id!r}", "give this one an `id` of its own"
        seen.add(item.id)
        yield from _twice(item.items, (*place, index, "items"))


def _all(items: tuple[Item, ...], place: Place) -> Iterator[tuple[Place, Item]]:
    for index, item in enumerate(items):
        yield (*place, index), item
        yield from _all(item.items, (*place, index, "items"))
