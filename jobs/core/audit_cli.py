"""`nexaops audit`: verify the chain, here or from an export, and export the trail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from jobs.core.audit_anchor import AnchorFile, read_anchors
from jobs.core.audit_chain import Verdict
from jobs.core.audit_export import csv_rows, export, json_lines, verify_file
from jobs.core.audit_read import Filters
from jobs.core.audit_seal import read_unsealed
from jobs.core.audit_verify import Progress as Tell
from jobs.core.audit_verify import verify_trail
from jobs.core.cli import acting_user, command_context, console, print_json
from jobs.core.errors import NexaError, UsageError

app = typer.Typer(
    help="The audit trail: who did what, when, why and from where, as a hash chain.", no_args_is_help=True
)
errors = Console(stderr=True, highlight=False, markup=False)


class Format(StrEnum):
    """How an export is written."""

    CSV = "csv"
    JSON = "json"


@app.command("verify")
def verify_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    file: Annotated[Path | None, typer.Option(help="Verify this export instead, without a database.")] = None,
    anchor: Annotated[
        list[Path] | None, typer.Option(help="Compare with this host's or another's audit-anchor.jsonl as well.")
    ] = None,
) -> None:
    """Walk along the hash chain and name the first broken row; exit code 1 if there is one."""
    given = [one for path in anchor or [] for one in read_anchors(path)]
    unsealed = None
    if file is not None:
        verdict = verify_file(file, given)
    else:
        with command_context("cli") as (settings, db), _bar(shown=errors.is_terminal and not as_json) as tell:
            anchors = AnchorFile.of(settings)
            verdict = verify_trail(db, [*anchors.read(), *given], by=acting_user(), progress=tell)
            with db.read() as conn:
                unsealed = read_unsealed(conn).count
            if verdict.whole:
                anchors.write(verdict.head, last=anchors.last())
    if as_json:
        print_json(_as_json(verdict, unsealed))
    else:
        _print(verdict, unsealed)
    if verdict.broken is not None:
        if not as_json:
            raise NexaError(verdict.broken.sentence)
        raise typer.Exit(1)


@app.command("export")
def export_command(
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    form: Annotated[Format, typer.Option("--format", help="csv for a spreadsheet, json for what verifies.")],
    since: Annotated[str | None, typer.Option(help="From this time on, UTC: 2026-11-25 or 2026-11-25T14:00.")] = None,
    until: Annotated[str | None, typer.Option(help="Before this time.")] = None,
    actor: Annotated[str | None, typer.Option(help="Whoever did it: an e-mail, cli:NAME, run:ID or system.")] = None,
    action: Annotated[str | None, typer.Option(help="What was done: flag.set, transaction.settled …")] = None,
    entity: Annotated[str | None, typer.Option(help="About what: a kind, or KIND:ID.")] = None,
) -> None:
    """Write the audit trail, or a part of it, to a file with the values of the chain."""
    kind, _, name = (entity or "").partition(":")
    filters = Filters(
        actor=actor, action=action, entity=kind or None, entity_id=name or None, since=_time(since), until=_time(until)
    )
    with command_context("cli") as (_, db):
        rows = _written(export(db, json_lines if form is Format.JSON else csv_rows, filters), output)
    console.print(f"{rows:,} {'row' if rows == 1 else 'rows'} written to {output}.")
    if form is Format.JSON:
        console.print(f"Verify it anywhere: nexaops audit verify --file {output}")


def _written(lines: Iterable[bytes], path: Path) -> int:
    """Writes the lines beside the file first, so that a file of that name is always whole; how many rows."""
    partial = path.with_name(f"{path.name}.part")
    count = -1  # the first line is no row
    try:
        with partial.open("wb") as out, _bar(shown=errors.is_terminal, what="rows") as tell:
            for count, line in enumerate(lines):
                out.write(line)
                if count % 1_000 == 0:
                    tell(count, None)
        partial.replace(path)
    except OSError as error:
        raise NexaError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        partial.unlink(missing_ok=True)
    return count


def _time(given: str | None) -> datetime | None:
    if given is None:
        return None
    try:
        at = datetime.fromisoformat(given)
    except ValueError:
        raise UsageError(f"{given!r} is no time: say it like 2026-11-25 or 2026-11-25T14:00.") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _print(verdict: Verdict, unsealed: int | None) -> None:
    if not verdict.links:
        console.print("No link is in order." if verdict.broken else "There is no link to verify.")
    else:
        links = "1 link is" if verdict.links == 1 else f"{verdict.links:,} links are"
        console.print(f"{links} in order, up to link {verdict.head.seq}: {verdict.head.hash.hex()}")
    if verdict.anchors:
        met = "1 head was" if verdict.anchors == 1 else f"{verdict.anchors:,} heads were"
        console.print(f"{met} met as written down outside of the database.")
    else:
        console.print(
            "No head written down outside of the database was at hand: a chain rewritten whole would not show."
        )
    if verdict.late:
        console.print(
            f"{verdict.late:,} rows bear a time long before they came, the first is row {verdict.first_late}: a very long "
            "transaction, or a false time."
        )
    if verdict.redacted:
        console.print(f"{verdict.redacted:,} rows are not shown whole in the file: only their place was proved.")
    if unsealed:
        console.print(f"{unsealed:,} rows came while this went on and have no link yet.")


def _as_json(verdict: Verdict, unsealed: int | None) -> dict[str, object]:
    broken = verdict.broken
    return {
        "ok": verdict.whole,
        "links": verdict.links,
        "head": {"seq": verdict.head.seq, "hash": verdict.head.hash.hex()},
        "anchors_met": verdict.anchors,
        "late": verdict.late,
        "first_late": verdict.first_late,
        "redacted": verdict.redacted,
        "unsealed": unsealed,
        "broken": None
        if broken is None
        else {
            "fault": broken.fault.name.lower(),
            "link": broken.seq,
            "row": broken.audit_id,
            "expected": broken.expected,
            "found": broken.found,
            "sentence": broken.sentence,
        },
    }


@contextmanager
def _bar(*, shown: bool, what: str = "links") -> Iterator[Tell]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not shown) as progress:
        task = progress.add_task(what, total=None)

        def tell(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        yield tell
