"""What is wrong with definitions, and what people will not use.

Errors are faults of the files: such a list cannot be started. Warnings are lists that can, but that teach people to
tick without reading: too long without a pause, or nobody's; and gates that no signature can open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from checklists.actions import describe
from checklists.checks.registry import find_check
from checklists.load import Fault, Place, Source, definition_files, read_all
from checklists.record import scope_of
from checklists.schema import Item, Phase
from jobs.core.errors import NexaError, UsageError
from jobs.core.jobs import load_jobs
from jobs.core.permissions import Right, Role, allowed

# Working memory holds about this many; a longer list needs a place to stop and look up.
MOST_WITHOUT_PAUSE = 9


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in `files` definitions, by file and line."""

    files: int
    errors: tuple[Fault, ...]
    warnings: tuple[Fault, ...]


def lint(paths: Iterable[Path]) -> Report:
    """Looks at files, and at the definitions in folders; UsageError if a path is not there."""
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise UsageError(f"There is no file or folder {path}: check the path.")
        files += definition_files(path) if path.is_dir() else [path]
    errors: list[Fault] = []
    warnings: list[Fault] = []
    for found in read_all(files):
        if isinstance(found, Source):
            errors += _unknown(found)
            warnings += _warnings(found)
        else:
            errors += found.faults
    return Report(len(files), tuple(sorted(errors)), tuple(sorted(warnings)))


def _unknown(source: Source) -> Iterator[Fault]:
    """Checks and actions that there are not, and parameters that they do not accept."""
    jobs = load_jobs()
    for index, phase in enumerate(source.template.phases):
        for place, item, _ in _actions(phase, ("phases", index)):
            try:
                if item.check is not None:
                    find_check(item.check.use).read(item.check.with_)
            except NexaError as error:
                yield Fault(source.file, source.line((*place, "check")), _what(error), "correct the check")
            try:
                if item.action is not None:
                    describe(item.action, jobs, {})
            except NexaError as error:
                yield Fault(source.file, source.line((*place, "action")), _what(error), "correct the action")


def _what(error: NexaError) -> str:
    text = str(error).rstrip(".")
    return text[:1].lower() + text[1:]


def _warnings(source: Source) -> Iterator[Fault]:
    for index, phase in enumerate(source.template.phases):
        place: Place = ("phases", index)
        actions = [item for item in phase.items if item.note is None]
        if len(actions) > MOST_WITHOUT_PAUSE:
            what = f"“{phase.title}” has {len(actions)} items without a pause"
            mend = f"split it: people skip in lists of more than {MOST_WITHOUT_PAUSE}"
            yield Fault(source.file, source.line(place), what, mend)
        for item_place, item, role in _actions(phase, place):
            line = source.line(item_place)
            if role is None:
                what = f"“{item.text}” is nobody's"
                yield Fault(source.file, line, what, "give it or its phase a `role`")
            elif not allowed([role], Right.TICK):
                what = f"“{item.text}” is for {role.value}, who may not tick"
                yield Fault(source.file, line, what, "give it a role that may")
        yield from _gate(source, index, phase)


def _gate(source: Source, index: int, phase: Phase) -> Iterator[Fault]:
    """What keeps the phase's gate shut for ever: signatures that nobody gives, or that come after those behind it."""
    template = source.template
    lines = {line.role: line for line in template.signoff}
    for role in phase.gate.signed if phase.gate is not None else ():
        where = f"the gate of “{phase.title}” waits for {role.value}"
        if role not in lines:
            mend = f"add a line for {role.value} to `signoff`"
            yield Fault(source.file, source.line(("phases", index)), f"{where}, who does not sign", mend)
            continue
        for other in lines[role].after:
            if len(scope_of(template, other)) > index:
                what = f"{where}, who signs after {other.value}, who signs what stands behind it"
                mend = f"let the gate wait for {other.value} too, or take it out of `after`"
                yield Fault(source.file, source.line(("phases", index)), what, mend)


def _actions(phase: Phase, place: Place) -> Iterator[tuple[Place, Item, Role | None]]:
    """The items that somebody ticks, where they stand, and whose they are."""
    open_: list[tuple[Place, Item, Role | None]] = [
        ((*place, "items", number), item, item.role or phase.role) for number, item in enumerate(phase.items)
    ]
    while open_:
        at, item, role = open_.pop()
        open_ += [((*at, "items", n), child, child.role or role) for n, child in enumerate(item.items)]
        if item.do is not None and not item.items:
            yield at, item, role
