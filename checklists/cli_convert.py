"""Lists in and out of other formats: `nexaops checklists import | export | verify`."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from checklists.convert.comments import visible
from checklists.convert.formats import EXPORTS, Format, file_name
from checklists.convert.importing import import_file, write_new
from checklists.convert.markdown_out import template_markdown
from checklists.convert.pack import audit_rows, build_pack, evidence_files
from checklists.convert.record import read_record
from checklists.convert.tables import record_digest
from checklists.convert.verify import Verified, verify_audit, verify_file, verify_record
from checklists.load import find_template
from jobs.core.cli import command_context, console
from jobs.core.errors import UsageError

_RUN = Annotated[str, typer.Argument(help="The number of a run, or the id of a definition (Markdown only).")]
_MOST_REMARKS = 40


class ExportFormat(StrEnum):
    """What `export` writes: one file of the run, or the evidence pack."""

    MARKDOWN = "md"
    CSV = "csv"
    JSON = "json"
    PDF = "pdf"
    PACK = "pack"


def import_command(
    source: Annotated[Path, typer.Argument(metavar="FILE.md", help="A checklist in Markdown.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The definition's file; else it is printed.")
    ] = None,
    bullets: Annotated[bool, typer.Option("--bullets", help="Tick plain bullets too, not only boxes.")] = False,
    second_person: Annotated[
        bool, typer.Option("--second-person", help="A double box asks for a second person's verification.")
    ] = False,
) -> None:
    """Read a Markdown checklist as a definition; what the definition does not hold is listed by line."""
    found = import_file(source, bullets=bullets, second_person=second_person)
    for remark in found.remarks[:_MOST_REMARKS]:
        sys.stderr.write(f"{visible(str(source))}:{remark.line}: {' '.join(str(remark).split())}\n")
    if len(found.remarks) > _MOST_REMARKS:
        sys.stderr.write(
            f"… and {len(found.remarks) - _MOST_REMARKS} more, all of them at the top of the definition.\n"
        )
    if output is None:
        sys.stdout.write(found.text)
        return
    write_new(output, found.text.encode())
    console.print(Text(f"{output} holds “{found.template.title}”: nexaops checklists lint {output}"), soft_wrap=True)


def export_command(
    run: _RUN,
    format_: Annotated[ExportFormat, typer.Option("--format", help="What to write.")] = ExportFormat.MARKDOWN,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The file; else standard output.")] = None,
) -> None:
    """Write a run (or a definition) as Markdown, CSV, JSON, PDF or evidence pack."""
    if not run.isdecimal():
        if format_ is not ExportFormat.MARKDOWN:
            raise UsageError(f"A definition is exported as md, not as {format_}: name a run by its number.")
        _deliver(template_markdown(find_template(run)).encode(), output, f"{run}.md")
        return
    with command_context("cli") as (_, db), db.read() as conn:
        record = read_record(conn, _number(run))
        audit = audit_rows(conn, record.run.id)
        files = evidence_files(conn, record.run.id) if format_ is ExportFormat.PACK else {}
    if format_ is ExportFormat.PACK:
        _deliver(build_pack(record, audit, files), output, file_name(record.template.id, record.run.id, "zip"))
    else:
        _deliver(
            EXPORTS[Format(format_.value)].render(record),
            output,
            file_name(record.template.id, record.run.id, format_.value),
        )


def verify_command(
    run: Annotated[str | None, typer.Argument(help="The number of a run in the database.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="A pack or a record.json, without any database.")] = None,
) -> None:
    """Prove that a run, or an export of one, is what it was; names the first thing that does not fit."""
    if (run is None) == (file is None):
        raise UsageError("Name one thing to verify: the number of a run, or --file with a pack or a record.json.")
    if file is not None:
        found = verify_file(file)
    else:
        with command_context("cli") as (_, db), db.read() as conn:
            record = read_record(conn, _number(run or ""))
            rows = audit_rows(conn, record.run.id)
            evidence_files(conn, record.run.id)  # each is read against its SHA-256
        verify_record(record)
        verify_audit(record, rows)
        found = Verified(record, record_digest(record))
    record = found.record
    console.print(
        Text(
            f"Run {record.run.id} of “{record.template.title}” fits: {len(record.lines)} lines, {len(record.history)} events,"
            f" {len(record.evidence)} pieces of evidence, {len(record.signatures)} signatures."
        ),
        soft_wrap=True,
    )
    console.print(f"SHA-256 of the record: {found.digest}", soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Adds the commands to the checklists' own."""
    app.command("import")(import_command)
    app.command("export")(export_command)
    app.command("verify")(verify_command)


def _number(run: str) -> int:
    number = int(run) if run.isdecimal() and len(run) < 20 else 0
    if not 1 <= number < 2**63:
        raise UsageError(f"{run!r} is not the number of a run: `nexaops checklists list` shows those there are.")
    return number


def _deliver(content: bytes, output: Path | None, name: str) -> None:
    if output is not None:
        write_new(output, content)
        console.print(Text(f"{output} is written."), soft_wrap=True)
    elif name.endswith((".pdf", ".zip")) and sys.stdout.isatty():
        raise UsageError(f"That is no text for a terminal: add for example -o {name}")
    else:
        sys.stdout.buffer.write(content)
