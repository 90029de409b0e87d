"""Exports of a run: what each shows, that the same run gives the same bytes, and that nothing false verifies."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from checklists.convert.formats import EXPORTS, Format, file_name
from checklists.convert.markdown_out import run_markdown
from checklists.convert.pack import MANIFEST, build_pack, member_name
from checklists.convert.pdf import drawable
from checklists.convert.record import CommentRecord, EvidenceRecord, RunRecord, SignatureRecord
from checklists.convert.tables import record_csv, record_digest, record_json
from checklists.convert.verify import DoesNotFit, verify_audit, verify_file, verify_record
from checklists.lines import State
from checklists.load import find_template
from checklists.schema import Template
from jobs.core.errors import NexaError, NotFound
from tests.unit.runs import record_of, ticked

AT = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)
HOSTILE = '=cmd|"x" #panic() [*b*] $x$ @ref <label> \\ // `raw` Ж 日本'
FILE = b"%PDF the test report"


@pytest.fixture(scope="module")
def record() -> RunRecord:
    """A deployment with two ticked lines, a text and a file as evidence, and two signatures, one of them void."""
    template = find_template("deployment")
    record = record_of(template, ticked(template, 2, name=HOSTILE, at=AT, reason=HOSTILE))
    left = {"item": "testing/unit", "at": AT, "by": "mei@nexafx.com", "name": "Mei"}
    note = EvidenceRecord(
        kind="text", label="hash", sha256=hashlib.sha256(b"*abc*").hexdigest(), size=5, text="*abc*", **left
    )
    report = EvidenceRecord(
        kind="file", label="report", sha256=hashlib.sha256(FILE).hexdigest(), size=len(FILE), file="../../r.PDF", **left
    )
    line = record.lines[0]

    def signature(role: str, **more: str) -> SignatureRecord:
        bound = {
            "run": 12,
            "role": role,
            "version": record.template.version,
            "summary": {field.id: field.value for field in record.fields},
            "items": {line.id: {"state": "done", "by": line.by, "reason": HOSTILE}},
        }
        text = orjson.dumps(bound).decode()
        digest = hashlib.sha256(text.encode()).hexdigest()
        return SignatureRecord(
            role=role,
            by="mei@nexafx.com",
            name="Mei Tanaka",
            meaning="verified",
            at=AT,
            signed=text,
            digest=digest,
            **more,
        )

    signed = signature("qa_lead")
    void = signature("developer", on_behalf_of="Dan", void="a line was reopened")
    return record.model_copy(update={"evidence": (note, report), "signatures": (signed, void)})


def audit_of(record: RunRecord) -> list[dict[str, Any]]:
    return [
        {"id": n, "at": one.at, "actor": one.by, "action": one.kind, "entity": "checklist_run", "entity_id": "12"}
        for n, one in enumerate(record.history, 1)
    ]


def packed(record: RunRecord) -> bytes:
    return build_pack(record, audit_of(record), {hashlib.sha256(FILE).hexdigest(): FILE})


# What they show ------------------------------------------------------------------------------------------------------


def test_json_is_the_record_to_the_letter(record: RunRecord) -> None:
    written = record_json(record)
    assert RunRecord.model_validate_json(written) == record
    assert record_digest(record) == hashlib.sha256(written).hexdigest()
    assert list(orjson.loads(written)) == sorted(orjson.loads(written))


def test_csv_has_a_row_for_each_line_and_no_cell_is_a_formula(record: RunRecord) -> None:
    rows = list(csv.DictReader(io.StringIO(record_csv(record).decode("utf-8-sig"), newline="")))
    items = [row for row in rows if row["row"] in {"item", "group", "repeat", "note"}]
    assert [row["id"] for row in items] == [line.id for line in record.lines]
    assert (items[0]["state"], items[0]["name"], items[0]["at"]) == ("done", f"'{HOSTILE}", AT.isoformat())
    assert [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@"))] == []
    signatures = [
        (row["name"], row["meaning"], row["state"], row["digest"]) for row in rows if row["row"] == "signature"
    ]
    first, second = (one.digest for one in record.signatures)
    assert signatures == [("Mei Tanaka", "verified", "signed", first), ("Mei Tanaka", "verified", "void", second)]


def test_markdown_shows_printed_name_time_meaning_and_what_is_void(record: RunRecord) -> None:
    shown = run_markdown(record)
    assert f"- Mei Tanaka, qa_lead: verified, 2026-11-25 08:30:00 UTC, digest `{record.signatures[0].digest}`" in shown
    assert (
        "Mei Tanaka on behalf of Dan, developer: verified, 2026-11-25 08:30:00 UTC (VOID: a line was reopened)" in shown
    )
    assert f"SHA-256 `{hashlib.sha256(FILE).hexdigest()}`" in shown


def test_the_same_run_gives_the_same_bytes_in_every_format(record: RunRecord) -> None:
    again = RunRecord.model_validate_json(record_json(record))
    for export in EXPORTS.values():
        assert export.render(record) == export.render(again)
    assert packed(record) == packed(again)


def test_in_a_pdf_what_people_wrote_is_text(record: RunRecord) -> None:
    # The first name would end the making of the page if any of it were typesetting.
    made = EXPORTS[Format.PDF].render(record)
    assert made.startswith(b"%PDF-")
    assert len(made) > 20_000
    assert file_name(record.template.id, record.run.id, "pdf") == "deployment-run-12.pdf"


@pytest.mark.parametrize(
    ("said", "drawn"),
    [
        ("Mei 田中 verified", "Mei [U+7530 U+4E2D] verified"),
        ("한국, ไทย, 😀", "[U+D55C U+AD6D], [U+0E44 U+0E17 U+0E22], [U+1F600]"),
        ("Ñandú Žižkov Ωμέγα Привет → ✓ “x” – … € ≤ e\u0301", "Ñandú Žižkov Ωμέγα Привет → ✓ “x” – … € ≤ e\u0301"),
    ],
)
def test_what_the_fonts_of_a_pdf_lack_stands_as_code_points_and_never_as_boxes(said: str, drawn: str) -> None:
    assert drawable(said) == drawn


# The pack ------------------------------------------------------------------------------------------------------------


def test_a_pack_holds_everything_under_names_of_its_own_and_a_manifest(record: RunRecord) -> None:
    with zipfile.ZipFile(io.BytesIO(packed(record))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    evidence = f"evidence/{hashlib.sha256(FILE).hexdigest()}.pdf"
    assert set(members) == {"record.json", "run.md", "run.csv", "run.pdf", "audit.json", evidence, MANIFEST}
    assert members[evidence] == FILE
    *lines, last = members[MANIFEST].decode().splitlines()
    assert lines == [
        f"{hashlib.sha256(members[name]).hexdigest()}  {name}" for name in sorted(set(members) - {MANIFEST})
    ]
    body = "".join(f"{line}\n" for line in lines)
    assert last == f"# {hashlib.sha256(body.encode()).hexdigest()}  of the lines above"


def test_a_pack_is_not_made_without_its_evidence(record: RunRecord) -> None:
    with pytest.raises(NexaError, match="The evidence “report” on testing/unit is not what was left there"):
        build_pack(record, audit_of(record), {hashlib.sha256(FILE).hexdigest(): b"another file"})


def test_a_pack_and_a_record_verify_without_a_database(record: RunRecord, tmp_path: Path) -> None:
    pack, alone = tmp_path / "pack.zip", tmp_path / "record.json"
    pack.write_bytes(packed(record))
    alone.write_bytes(record_json(record))
    assert verify_file(pack) == verify_file(alone)
    assert verify_file(pack).digest == record_digest(record)


# What does not verify ------------------------------------------------------------------------------------------------


def line(record: dict[str, Any], number: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = record["lines"][number]
    return found


def untick(record: dict[str, Any]) -> None:
    line(record).update(state="open", by=None, name=None, at=None, reason=None)


TAMPERED: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a tick nobody made": (
        lambda r: line(r, 5).update(state="done"),
        "types is done, which is not what its history",
    ),
    "a tick taken back": (untick, "code-review/service is open, which is not what its history leads to"),
    "another person's tick": (lambda r: line(r).update(by="x@x"), "which is not what its history leads to"),
    "other words": (
        lambda r: line(r).update(text="Skip it"),
        "code-review/service is not the line that the definition",
    ),
    "a line less": (lambda r: r["lines"].pop(), "it has more or fewer lines than the definition"),
    "rosier progress": (lambda r: r["progress"].update(required_open=0), "the progress is not what the lines come to"),
    "another definition": (
        lambda r: r["template"]["definition"].update(title="T"),
        "the definition is not the one with",
    ),
    "another title": (lambda r: r["template"].update(title="T"), "the definition's id, title or kind is not"),
    "closed on paper": (lambda r: r["run"].update(state="done"), "it is done, which is not how its history ends"),
    "an invented comment": (
        lambda r: r["comments"].append({"item": None, "at": AT.isoformat(), "by": "a", "name": "A", "text": "fine"}),
        "its comments are not those of its history",
    ),
    "a history reordered": (lambda r: r["history"].reverse(), "its history is out of order"),
    "other evidence": (lambda r: r["evidence"][0].update(text="*abd*"), "the evidence “hash” on testing/unit is not"),
    "evidence of nothing": (lambda r: r["evidence"][0].update(item="no/line"), "is on a line that is not there"),
    "an unknown field": (lambda r: r["fields"][0].update(id="colour"), "the definition has no summary field colour"),
}


@pytest.mark.parametrize(("change", "said"), TAMPERED.values(), ids=TAMPERED)
def test_a_record_that_was_changed_names_what_does_not_fit(
    record: RunRecord, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    verify_record(record)
    changed = json.loads(record_json(record))
    change(changed)
    with pytest.raises(DoesNotFit) as error:
        verify_record(RunRecord.model_validate(changed))
    assert said in str(error.value)


def test_an_n_a_without_a_reason_does_not_verify() -> None:
    template = find_template("rollback-critical")
    record = record_of(template, {})
    first = record.lines[0].id
    event = record.history[0].model_copy(
        update={"id": 2, "item": first, "kind": "na", "new": "na", "at": AT, "by": "a@x", "note": "no flag here"}
    )
    mark = {"state": State.NA, "by": "a@x", "name": "A", "at": AT}
    progress = record.progress.model_copy(update={"na": 1, "required_open": record.progress.required_open - 1})
    lines = (record.lines[0].model_copy(update={**mark, "reason": "no flag here"}), *record.lines[1:])
    marked = RunRecord.model_validate(
        record.model_copy(
            update={"lines": lines, "history": (*record.history, event), "progress": progress}
        ).model_dump()
    )
    verify_record(marked)
    silent = marked.model_copy(
        update={"lines": (marked.lines[0].model_copy(update={"reason": None}), *marked.lines[1:])}
    )
    with pytest.raises(DoesNotFit, match=f"{first} is N/A without a reason"):
        verify_record(silent)


def test_a_line_that_is_n_a_by_itself_verifies_only_while_the_summary_says_so() -> None:
    definition = find_template("rollback-critical").canonical()
    phases = definition["phases"]
    assert isinstance(phases, list)
    phases[0]["items"][0]["when"] = {"field": "version", "is": "2"}
    record = record_of(Template.model_validate({**definition, "fields": {"version": {}}}), {})
    assert (record.lines[0].state, record.lines[0].reason) == (State.NA, "It is only for runs whose Version is 2.")
    verify_record(record)
    other = record.model_copy(update={"fields": (record.fields[0].model_copy(update={"value": "2"}),)})
    with pytest.raises(DoesNotFit, match="or its state does not follow"):
        verify_record(other)


def test_what_happened_must_stand_in_the_audit_trail(record: RunRecord) -> None:
    verify_audit(record, audit_of(record))
    with pytest.raises(DoesNotFit, match=r"event 3 \(ticked\) has no row in the audit trail"):
        verify_audit(record, audit_of(record)[:-1])
    with pytest.raises(DoesNotFit, match="audit row 1 is about something else"):
        verify_audit(record, [{**audit_of(record)[0], "entity_id": "13"}])


Members = dict[str, bytes]


def rezipped(members: Members, compression: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def honest(members: Members) -> Members:
    """With a manifest that is true of the members, as whoever changes a pack would write it."""
    rest = {name: content for name, content in members.items() if name != MANIFEST}
    lines = "".join(f"{hashlib.sha256(rest[name]).hexdigest()}  {name}\n" for name in sorted(rest))
    end = f"# {hashlib.sha256(lines.encode()).hexdigest()}  of the lines above\n"
    return {**rest, MANIFEST: (lines + end).encode()}


def without(members: Members, name: str) -> Members:
    return {key: content for key, content in members.items() if key != name}


EVIDENCE = f"evidence/{hashlib.sha256(FILE).hexdigest()}.pdf"
PACKS: dict[str, tuple[Callable[[Members], bytes], str]] = {
    "changed": (lambda m: rezipped({**m, "run.md": b"all fine"}), "run.md is not the file that the manifest lists"),
    "without manifest": (lambda m: rezipped(without(m, MANIFEST)), f"has no {MANIFEST}: it is not an evidence pack"),
    "a member less": (lambda m: rezipped(without(m, "run.csv")), "the manifest lists something else"),
    "a member less, and it says so": (lambda m: rezipped(honest(without(m, "run.csv"))), "run.csv is missing"),
    "a lying manifest": (
        lambda m: rezipped({**m, MANIFEST: m[MANIFEST] + b"# fine\n"}),
        "the manifest lists something",
    ),
    "no evidence": (lambda m: rezipped(honest(without(m, EVIDENCE))), f"{EVIDENCE} is not evidence of this run, or is"),
    "other evidence": (
        lambda m: rezipped(honest({**m, EVIDENCE: b"x"})),
        "the evidence “report” on testing/unit is another",
    ),
    "a stranger": (lambda m: rezipped(honest({**m, "evidence/x": b"x"})), "evidence/x is not evidence of this run"),
    "a way out": (lambda m: rezipped({**m, "../run.md": b""}), "it has a member '../run.md'"),
    "a deeper way out": (lambda m: rezipped({**m, "evidence/../../x": b""}), "it has a member 'evidence/../../x'"),
    "a bomb": (lambda m: rezipped({**m, "run.md": bytes(1 << 20)}, zipfile.ZIP_DEFLATED), "is compressed or encrypted"),
    "empty audit": (
        lambda m: rezipped(honest({**m, "audit.json": b"[]"})),
        "event 1 (started) has no row in the audit",
    ),
    "no audit": (lambda m: rezipped(honest({**m, "audit.json": b"{"})), "audit.json holds no audit rows"),
    "no record": (lambda m: rezipped(honest({**m, "record.json": b"[]"})), "The record cannot be read at the file"),
    "a damaged byte": (lambda m: rezipped(m).replace(b"# Scheduled", b"# scheduled", 1), "run.md is damaged"),
    "cut off": (lambda m: rezipped(m)[:-40], "The record cannot be read"),
}


@pytest.mark.parametrize(("change", "said"), PACKS.values(), ids=PACKS)
def test_a_pack_that_was_changed_is_refused_in_one_sentence(
    record: RunRecord, tmp_path: Path, change: Callable[[Members], bytes], said: str
) -> None:
    with zipfile.ZipFile(io.BytesIO(packed(record))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    path = tmp_path / "pack.zip"
    path.write_bytes(change(members))
    with pytest.raises(DoesNotFit) as error:
        verify_file(path)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_members_that_share_their_bytes_are_refused(record: RunRecord, tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("run.md", bytes(4096))
        first = archive.infolist()[0]
        for number in range(20):
            copy = zipfile.ZipInfo(f"evidence/{number}")
            copy.header_offset, copy.file_size, copy.compress_size, copy.CRC = (
                0,
                first.file_size,
                first.file_size,
                first.CRC,
            )
            archive.filelist.append(copy)
            archive.NameToInfo[copy.filename] = copy
    path = tmp_path / "bomb.zip"
    path.write_bytes(out.getvalue())
    with pytest.raises(DoesNotFit, match="its members overlap"):
        verify_file(path)


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no file"):
        verify_file(tmp_path / "no.zip")


def test_the_name_of_an_evidence_file_never_comes_from_outside(record: RunRecord) -> None:
    report = record.evidence[1]
    for name in ("../../etc/passwd", "C:\\x.exe\n", ".bashrc/..", "x.tar.gz/../../y", "a." + "b" * 50):
        assert member_name(report.model_copy(update={"file": name})).count("/") == 1
        assert ".." not in member_name(report.model_copy(update={"file": name}))


def test_a_comment_of_a_run_is_that_of_its_history(record: RunRecord) -> None:
    said = CommentRecord(item=None, at=AT, by="a", name="A", text="x")
    with pytest.raises(DoesNotFit, match="comments"):
        verify_record(record.model_copy(update={"comments": (said,)}))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"digest": "b" * 64}, "is on something else than its digest says"),
        ({"signed": None}, "lacks what was signed"),
        ({"role": "developer"}, "is on another run, or for another role"),
        ({"signed": "[]", "digest": hashlib.sha256(b"[]").hexdigest()}, "is on what is no record of a run"),
    ],
)
def test_a_signature_that_is_not_on_this_run_as_it_stands_is_named(
    record: RunRecord, changed: dict[str, object], said: str
) -> None:
    verify_record(record)
    first = record.signatures[0].model_copy(update=changed)
    with pytest.raises(DoesNotFit, match=said):
        verify_record(record.model_copy(update={"signatures": (first,)}))


def test_a_signature_does_not_stand_for_a_line_that_was_changed_after_it(record: RunRecord) -> None:
    first = record.signatures[0]
    text = (first.signed or "").replace('"done"', '"na"')
    other = first.model_copy(update={"signed": text, "digest": hashlib.sha256(text.encode()).hexdigest()})
    with pytest.raises(DoesNotFit, match="is on another state of code-review/service"):
        verify_record(record.model_copy(update={"signatures": (other,)}))
