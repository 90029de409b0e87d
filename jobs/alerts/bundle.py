"""incident-bundle: what an incident is studied from, in one file that can leave the house.

A ZIP of lines of JSON, streamed out of the database row by row, in which no secret of the settings stands, nothing that
looks like one, and no more of anybody than an id. `MANIFEST.json` comes last and has the SHA-256 of every other member.
It is written beside its name, readable by its owner alone, and gets the name when it is whole.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import orjson
from pydantic import Field, field_validator, model_validator
from sqlalchemy import text

from jobs.alerts.parts import PARTS, Part, shown_settings, versions
from jobs.core import audit
from jobs.core.errors import NexaError
from jobs.core.jobs import Params, Run, job
from jobs.core.kept_files import checksums_of, draft_of, drop_drafts, name_draft, past_time, sha256_of
from jobs.core.logs import redact_value, secrets_of
from jobs.core.settings import Settings

INCIDENT_BUNDLE = "incident-bundle"
MANIFEST = "MANIFEST.json"
USUAL = timedelta(hours=6)
LONGEST = timedelta(days=31)
MOST_BYTES = 512 << 20
"""Of all members before they are compressed; a part that would go beyond is cut, and the manifest says so."""
_ROWS_AT_ONCE = 500


class BundleParams(Params):
    """Of which time."""

    since: datetime | None = Field(None, description="from when, UTC; empty: six hours before the end")
    until: datetime | None = Field(None, description="until when, UTC; empty: now")

    @field_validator("since", "until")
    @classmethod
    def _aware(cls, value: datetime | None) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value

    def window(self, now: datetime) -> tuple[datetime, datetime]:
        """From when until when, seen from `now`."""
        until = self.until or now
        return self.since or until - USUAL, until

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        since, until = self.window(datetime.now(UTC))
        if since >= until:
            raise ValueError("the beginning is not before the end")
        if until - since > LONGEST:
            raise ValueError(f"the time is longer than {LONGEST.days} days: take a part of it")
        return self


@dataclass(frozen=True, slots=True)
class Member:
    """What the manifest says of one member; `cut`: there was more than it may hold."""

    name: str
    bytes: int
    sha256: str
    rows: int
    cut: bool


@job(
    name=INCIDENT_BUNDLE,
    title="Export the incident bundle",
    does="Gathers runs, logs of failed ones, samples, alerts, incidents, flags, schedules, workers, open cases, the audit "
    "trail, settings and versions of a time into one ZIP in NEXAOPS_HOME/bundles, without secrets.",
    schedule=None,
    timeout_s=1_800,
    params=BundleParams,
)
def incident_bundle(run: Run, params: BundleParams) -> None:
    """Counts members, rows, bytes (of the file) and deleted (old bundles); the log names the file.

    A dry run says what it would gather. Raises NexaError if the file cannot be written.
    """
    with run.db.read() as conn:
        now: datetime = conn.execute(text("SELECT clock_timestamp()")).scalar_one()
    since, until = params.window(now)
    window = {"since": since.isoformat(timespec="seconds"), "until": until.isoformat(timespec="seconds")}
    for name in ("members", "rows", "bytes", "deleted"):
        run.count(name, 0)
    if run.dry_run:
        run.info("would gather", parts=[part.name for part in PARTS], **window)
        return
    folder = run.settings.home / "bundles"
    file = folder / f"incident-{until:%Y%m%dT%H%M%SZ}-run{run.id}.zip"
    draft = draft_of(file)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        drop_drafts(folder, "incident-*", now)
        members = _gather(run, draft, since, until, {"made_at": now.isoformat(), "run": run.id, **window})
        if members is None:
            run.warning("stopped before the end: nothing was kept")
            return
        digest = sha256_of(draft)
        name_draft(file, f"{digest}  {file.name}\n".encode())
    except OSError as error:
        raise NexaError(
            f"The bundle cannot be written to {folder} ({error.strerror}): make room, then run it again."
        ) from error
    finally:
        with suppress(OSError):
            draft.unlink()
    size = file.stat().st_size
    run.count("members", len(members))
    run.count("rows", sum(member.rows for member in members))
    run.count("bytes", size)
    run.info(
        "the bundle is made", file=str(file), bytes=size, sha256=digest, cut=[one.name for one in members if one.cut]
    )
    with run.db.begin() as conn:
        new = {"file": file.name, "bytes": size, "sha256": digest, **window}
        audit.record(conn, audit.AuditRow(f"run:{run.id}", "bundle.made", "bundle", file.name, "job", new=new))
    made = sorted(folder.glob("incident-*.zip"), key=lambda one: one.stat().st_mtime)
    for old in past_time(made, now, run.settings.bundle_days):
        for one in (old, checksums_of(old)):
            one.unlink(missing_ok=True)
        run.count("deleted")


def _gather(run: Run, draft: Path, since: datetime, until: datetime, about: Mapping[str, Any]) -> list[Member] | None:
    """Writes all members; None if it was to stop."""
    clean, members = _Cleaner(run.settings), list[Member]()
    with run.db.read() as conn:
        running = clean.line(versions(conn))
    handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "wb") as out, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        # What is shown of the settings holds no secret, and under a key like DB_PASSWORD stands whether there is one.
        for name, value in (("settings.json", orjson.dumps(shown_settings(run.settings))), ("versions.json", running)):
            members.append(_add(archive, name, [value], MOST_BYTES, 1))
        for number, part in enumerate(PARTS):
            if run.should_stop():
                return None
            left = MOST_BYTES - sum(member.bytes for member in members)
            members.append(_add(archive, part.name, _lines(run, part, since, until, clean), left, part.most))
            run.progress(number + 1, len(PARTS))
        manifest = {**about, "members": [_plain(member) for member in members]}
        archive.writestr(MANIFEST, orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
    return None if run.should_stop() else members


def _lines(run: Run, part: Part, since: datetime, until: datetime, clean: _Cleaner) -> Iterator[bytes]:
    """The rows of a part, one more than it may have, so that what was cut is known."""
    values = {"since": since, "until": until, "most": part.most + 1}
    with run.db.read() as conn:
        rows = conn.execution_options(stream_results=True, max_row_buffer=_ROWS_AT_ONCE).execute(
            text(part.statement), values
        )
        for number, row in enumerate(rows.mappings()):
            if number % _ROWS_AT_ONCE == 0 and run.should_stop():
                return
            yield clean.line(dict(row))


def _add(archive: zipfile.ZipFile, name: str, lines: Iterable[bytes], most_bytes: int, most_rows: int) -> Member:
    digest, size, rows, cut = hashlib.sha256(), 0, 0, False
    with archive.open(name, "w", force_zip64=True) as out:
        for line in lines:
            if rows >= most_rows or size + len(line) > most_bytes:
                cut = True
                break
            out.write(line)
            digest.update(line)
            size, rows = size + len(line), rows + 1
    return Member(name, size, digest.hexdigest(), rows, cut)


class _Cleaner:
    """Turns a row into a line of JSON without secrets: by key, by shape, and by what the settings hold."""

    def __init__(self, settings: Settings) -> None:
        # As they stand in JSON: what is escaped there is escaped in them too.
        self._secrets = [orjson.dumps(secret)[1:-1] for secret in secrets_of(settings)]

    def line(self, row: Mapping[str, Any]) -> bytes:
        clean = {name: redact_value(name, value) for name, value in row.items()}
        line = orjson.dumps(clean, default=str, option=orjson.OPT_NON_STR_KEYS)
        for secret in self._secrets:
            line = line.replace(secret, b"[secret]")
        return line + b"\n"


def _plain(member: Member) -> dict[str, Any]:
    return {"name": member.name, "bytes": member.bytes, "sha256": member.sha256, "rows": member.rows, "cut": member.cut}
