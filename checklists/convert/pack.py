"""The evidence pack: all of one run in a ZIP file that anybody can check without us.

The members are the record, the same run for people (Markdown, CSV, PDF), its rows of the audit trail, the files that
were left as evidence, and `MANIFEST.sha256`, which `sha256sum -c` reads: the SHA-256 of each member, and in its last line
that of the lines above. Members are stored, not compressed, in a fixed order with a fixed date: the same run gives the
same bytes, and a file cannot grow when it is opened.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, text

from checklists.convert.formats import EXPORTS
from checklists.convert.record import EvidenceRecord, RunRecord
from checklists.evidence import list_evidence, read_file
from jobs.core.errors import NexaError

MANIFEST = "MANIFEST.sha256"
RECORD = "record.json"
AUDIT = "audit.json"
_NAMES = {"json": RECORD}
_EPOCH = (1980, 1, 1, 0, 0, 0)


def build_pack(record: RunRecord, audit: Sequence[Mapping[str, Any]], files: Mapping[str, bytes]) -> bytes:
    """The pack; `audit` are the run's rows as `audit_rows` reads them, `files` has evidence by its SHA-256.

    Raises NexaError if a file that the record names is missing or is not what it was.
    """
    members = {_NAMES.get(name, f"run.{name}"): export.render(record) for name, export in EXPORTS.items()}
    members[AUDIT] = orjson.dumps(list(audit), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE, default=_plain)
    for one in record.evidence:
        if one.file is None:
            continue
        content = files.get(one.sha256, b"")
        if hashlib.sha256(content).hexdigest() != one.sha256:
            raise NexaError(f"The evidence “{one.label}” on {one.item} is not what was left there: restore its file.")
        members[member_name(one)] = content
    members[MANIFEST] = manifest({name: hashlib.sha256(content).hexdigest() for name, content in members.items()})
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, content)
    return out.getvalue()


def manifest(digests: Mapping[str, str]) -> bytes:
    """The text of the manifest for the SHA-256 of each member by name."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    return f"{lines}# {hashlib.sha256(lines.encode()).hexdigest()}  of the lines above\n".encode()


def member_name(evidence: EvidenceRecord) -> str:
    """Where an evidence file stands in a pack: its hash, with an ending to open it by; never a name from outside."""
    ending = re.search(r"\.[A-Za-z0-9]{1,8}$", evidence.file or "")
    return f"evidence/{evidence.sha256}{ending[0].lower() if ending else ''}"


def evidence_files(conn: Connection, run_id: int) -> dict[str, bytes]:
    """The files that were left in a run by their SHA-256, the withdrawn ones too; NotFound if one was changed."""
    files = (one for one in list_evidence(conn, run_id) if one.name is not None)
    return {one.sha256: read_file(conn, run_id, one.id)[2] for one in files}


def audit_rows(conn: Connection, run_id: int) -> list[dict[str, Any]]:
    """A run's rows of the audit trail, the oldest first, with every column that the trail has."""
    rows = conn.execute(
        text("SELECT * FROM ops.audit WHERE entity = 'checklist_run' AND entity_id = :id ORDER BY id"),
        {"id": str(run_id)},
    )
    return [dict(row._mapping) for row in rows]


def _plain(value: object) -> str:
    return value.hex() if isinstance(value, bytes | memoryview) else str(value)
