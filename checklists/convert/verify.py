"""Whether a run's record, or a whole pack, is what it was when it was written: the first thing that does not fit.

Nothing here believes a statement that can be worked out again. The definition must have the hash that the run was
started with; the lines must be those of the definition; each line's state must be what its history leads to, and every
total must follow from the lines; texts and files must have their hashes, and what happened must stand in the audit
trail. What this cannot show offline is that nobody rewrote all of it together: for that, the record's SHA-256 is compared with
the one that `nexaops checklists verify RUN` says, or that stands on a signed print.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from checklists.convert.pack import AUDIT, MANIFEST, RECORD, manifest, member_name
from checklists.convert.record import (
    EventRecord,
    LineRecord,
    ProgressRecord,
    RunRecord,
    SignatureRecord,
    line_records,
    rebuild,
)
from checklists.lines import Kind, Mark, State, count
from checklists.reads import RunState
from checklists.schema import Template
from jobs.core.errors import NexaError, NotFound, UsageError

LARGEST_RECORD = 64 << 20
LARGEST_PACK = 2 << 30
_MOST_MEMBERS = 10_000
_PLAIN = {RECORD, AUDIT, MANIFEST, "run.md", "run.csv", "run.pdf"}


class DoesNotFit(NexaError):
    """Something in a record or a pack is not what it says."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What was verified: the record, and the SHA-256 of its JSON in hex."""

    record: RunRecord
    digest: str


def verify_file(path: Path) -> Verified:
    """A pack, or a record alone, without a database; DoesNotFit with the first thing that is wrong."""
    try:
        if zipfile.is_zipfile(path):
            return _verify_pack(path)
        with path.open("rb") as file:
            raw = file.read(LARGEST_RECORD + 1)
    except FileNotFoundError:
        raise NotFound(f"There is no file {path}: check the path.") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}): check the path and its permissions.") from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise DoesNotFit(f"{path} is a damaged ZIP file: fetch the pack again.") from error
    record = _record(raw)
    verify_record(record)
    return Verified(record, hashlib.sha256(raw).hexdigest())


def verify_record(record: RunRecord) -> None:
    """Raises DoesNotFit with the first thing in which a record contradicts itself."""
    for fault in _faults(record):
        raise DoesNotFit(f"Run {record.run.id} does not fit: {fault}.")


def verify_audit(record: RunRecord, rows: Iterable[Mapping[str, Any]]) -> None:
    """Raises DoesNotFit if something in the run's history has no row in the audit trail, or a row is another run's."""
    found: Counter[tuple[datetime, str]] = Counter()
    for row in rows:
        if (row.get("entity"), row.get("entity_id")) != ("checklist_run", str(record.run.id)):
            raise DoesNotFit(f"Run {record.run.id} does not fit: audit row {row.get('id')} is about something else.")
        found[_when(row.get("at")), str(row.get("actor"))] += 1
    for event in record.history:
        if not found[event.at, event.by]:
            raise DoesNotFit(
                f"Run {record.run.id} does not fit: event {event.id} ({event.kind}) has no row in the audit trail."
            )
        found[event.at, event.by] -= 1


def _verify_pack(path: Path) -> Verified:
    if path.stat().st_size > LARGEST_PACK:
        raise DoesNotFit(f"{path} is larger than a pack can be.")
    with zipfile.ZipFile(path) as archive:
        digests = _digests(archive, path)
        if MANIFEST not in digests:
            raise DoesNotFit(f"{path} has no {MANIFEST}: it is not an evidence pack.")
        stated = archive.read(MANIFEST)
        for name, digest in digests.items():
            if name != MANIFEST and f"{digest}  {name}\n".encode() not in stated:
                raise DoesNotFit(f"{path} does not fit: {name} is not the file that the manifest lists.")
        if stated != manifest({name: digest for name, digest in digests.items() if name != MANIFEST}):
            raise DoesNotFit(f"{path} does not fit: the manifest lists something else than what is in the pack.")
        if missing := sorted(_PLAIN - set(digests)):
            raise DoesNotFit(f"{path} does not fit: {missing[0]} is missing.")
        record = _record(archive.read(RECORD))
        verify_record(record)
        expected = {member_name(one) for one in record.evidence if one.file is not None}
        if odd := sorted(set(digests) - _PLAIN ^ expected):
            raise DoesNotFit(f"{path} does not fit: {odd[0]} is not evidence of this run, or is missing.")
        for one in record.evidence:
            if one.file is not None and digests[member_name(one)] != one.sha256:
                raise DoesNotFit(f"{path} does not fit: the evidence “{one.label}” on {one.item} is another file.")
        try:
            rows = orjson.loads(archive.read(AUDIT))
            verify_audit(record, rows)
        except (ValueError, TypeError, AttributeError) as error:
            raise DoesNotFit(f"{path} does not fit: {AUDIT} holds no audit rows.") from error
    return Verified(record, digests[RECORD])


def _digests(archive: zipfile.ZipFile, path: Path) -> dict[str, str]:
    """The SHA-256 of every member by name; refuses what a pack of ours never holds before anything is read."""
    members = archive.infolist()
    names = [member.filename for member in members]
    size = path.stat().st_size
    if len(members) > _MOST_MEMBERS or len(set(names)) < len(names):
        raise DoesNotFit(f"{path} is not an evidence pack: it has too many members, or two of one name.")
    for member in members:
        name = member.filename
        if name not in _PLAIN and not (name.startswith("evidence/") and name.count("/") == 1 and ".." not in name):
            raise DoesNotFit(f"{path} is not an evidence pack: it has a member {name!r}.")
        if (
            member.compress_type != zipfile.ZIP_STORED
            or member.file_size != member.compress_size
            or member.flag_bits & 1
        ):
            raise DoesNotFit(f"{path} is not an evidence pack as it was written: {name} is compressed or encrypted.")
        if name in {RECORD, AUDIT, MANIFEST} and member.file_size > LARGEST_RECORD:
            raise DoesNotFit(f"{path} is not an evidence pack: {name} is larger than it can be.")
    if sum(member.file_size for member in members) > size:
        raise DoesNotFit(f"{path} is not an evidence pack: its members overlap.")
    return {member.filename: _digest(archive, member, path) for member in members}


def _digest(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with archive.open(member) as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except zipfile.BadZipFile as error:
        raise DoesNotFit(f"{path} does not fit: {member.filename} is damaged.") from error
    return digest.hexdigest()


def _record(raw: bytes) -> RunRecord:
    if len(raw) > LARGEST_RECORD:
        raise DoesNotFit(f"The record is larger than {LARGEST_RECORD >> 20} MiB: it is not one of ours.")
    try:
        return RunRecord.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "/".join(map(str, first["loc"])) or "the file"
        why = "it is no run's record, or a newer version wrote it"
        raise DoesNotFit(f"The record cannot be read at {place}: {why}.") from error


def _faults(record: RunRecord) -> Iterator[str]:
    definition = record.template.definition
    # As `Template.version` does it, on the values as they stand: a key that a newer version brought counts too.
    canonical = json.dumps(definition, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if hashlib.sha256(canonical.encode()).hexdigest() != record.template.version:
        yield "the definition is not the one with the version that the run was started from"
        return
    try:
        template = Template.model_validate(definition)
    except ValidationError:
        yield "the definition is of a newer version, verify it with that"
        return
    if (template.id, template.title, template.kind) != (
        record.template.id,
        record.template.title,
        record.template.kind,
    ):
        yield "the definition's id, title or kind is not the one that the record names"
    if unknown := {field.id for field in record.fields} - {field.id for field in template.fields}:
        yield f"the definition has no summary field {min(unknown)}"
    yield from _line_faults(record, template)
    yield from _event_faults(record)
    yield from _proof_faults(record)
    for signature in record.signatures:
        yield from _signature_faults(record, signature)


def _line_faults(record: RunRecord, template: Template) -> Iterator[str]:
    history = {event.item: event for event in record.history if event.item and _led_to(event) is not None}
    for line in record.lines:
        last = history.get(line.id)
        if line.kind is not Kind.ITEM:
            continue
        stands = (line.state.value, line.by, line.at) if line.at else (line.state.value, None, None)
        # A line may be N/A by itself, without history: whether it is, the definition says below.
        untouched = State.NA if line.state is State.NA else State.OPEN
        led = (_led_to(last), last.by, last.at) if last is not None else (untouched.value, None, None)
        if stands != led:
            yield f"{line.id} is {line.state}, which is not what its history leads to"
        if line.state is State.NA and not line.reason:
            yield f"{line.id} is N/A without a reason"
    marks = {
        line.id: Mark(
            line.state,
            by=line.by,
            name=line.name,
            at=line.at,
            reason=line.reason,
            choice=line.choice,
            performed_at=line.performed_at,
            verified_by=line.verified_by,
        )
        for line in record.lines
        if line.at is not None or line.state is not State.NA
    }
    fields = {field.id: field.value for field in record.fields}
    phases = rebuild(template, fields, record.run.started_at, marks, record.checks)
    expected = [_shape(line) for phase in phases for item in phase.items for line in line_records(item, phase)]
    for ours, theirs in zip(expected, map(_shape, record.lines), strict=False):
        if ours != theirs:
            yield f"{theirs[0]} is not the line that the definition has there, or its state does not follow"
    if len(expected) != len(record.lines):
        yield "it has more or fewer lines than the definition"
    total = count(phases)
    if record.progress != ProgressRecord(
        total=total.total, done=total.done, na=total.na, required_open=total.required_open
    ):
        yield "the progress is not what the lines come to"


def _shape(line: LineRecord) -> tuple[object, ...]:
    return line.id, line.text, line.phase, line.section, line.kind, line.role, line.required, line.state, line.depth


def _led_to(event: EventRecord) -> str | None:
    """The state that an event left its line in; None if it is about something else."""
    states = {"ticked": State.DONE.value, "unticked": State.OPEN.value, "na": State.NA.value, "verified": None}
    return states.get(event.kind, event.new if event.new in set(State) else None)


def _event_faults(record: RunRecord) -> Iterator[str]:
    said = [(one.item, one.at, one.by, one.note or "") for one in record.history if one.kind == "comment"]
    if said != [(one.item, one.at, one.by, one.text) for one in record.comments]:
        yield "its comments are not those of its history"
    if [one.id for one in record.history] != sorted({one.id for one in record.history}):
        yield "its history is out of order"
    ended = [one for one in record.history if one.kind in {"closed", "abandoned"}]
    states = {"closed": RunState.DONE, "abandoned": RunState.ABANDONED}
    expected = (states[ended[-1].kind], ended[-1].at) if ended else (RunState.OPEN, None)
    if (record.run.state, record.run.closed_at) != expected:
        yield f"it is {record.run.state}, which is not how its history ends"


def _proof_faults(record: RunRecord) -> Iterator[str]:
    lines = {line.id for line in record.lines}
    for one in record.evidence:
        if one.item not in lines:
            yield f"the evidence “{one.label}” is on a line that is not there"
        if one.text is not None and hashlib.sha256(one.text.encode()).hexdigest() != one.sha256:
            yield f"the evidence “{one.label}” on {one.item} is not the text that was left there"
    for check in record.checks:
        if check.item not in lines:
            yield f"the result of {check.check} is on a line that is not there"


def _signature_faults(record: RunRecord, signature: SignatureRecord) -> Iterator[str]:
    """What was signed must have the digest, be this run, and, unless the signature is void, be the run as it stands."""
    named = f"the signature of {signature.name} as {signature.role}"
    if signature.signed is None:
        yield f"{named} lacks what was signed"
        return
    if hashlib.sha256(signature.signed.encode()).hexdigest() != signature.digest:
        yield f"{named} is on something else than its digest says"
        return
    try:
        signed = orjson.loads(signature.signed)
        about = (signed["run"], signed["role"])
        items: dict[str, dict[str, Any]] = signed["items"]
        bound = {
            name: (item["state"], item.get("by"), item.get("reason"), item.get("choice"))
            for name, item in items.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        yield f"{named} is on what is no record of a run"
        return
    if about != (record.run.id, signature.role):
        yield f"{named} is on another run, or for another role"
    if signature.void is not None or signature.meaning == "rejected":
        return
    if signed["version"] != record.template.version or signed["summary"] != {
        one.id: one.value for one in record.fields
    }:
        yield f"{named} is on another version or summary"
    for name, was in bound.items():
        line = record.by_id.get(name)
        stands = (line.state.value, line.by, line.reason, line.choice) if line is not None else None
        if stands != was:
            yield f"{named} is on another state of {name}"


def _when(value: object) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
