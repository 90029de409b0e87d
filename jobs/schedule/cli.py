"""The commands of schedules: look at one, edit it after a look at what that means, see its history, take an edit back.

Pausing and resuming are commands of the job: `nexaops jobs pause`.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
import typer
from rich.table import Table

from jobs.core.audit_read import Happened
from jobs.core.cli import acting_user, command_context, console, given, print_json
from jobs.core.errors import UsageError
from jobs.schedule.editing import Proposal, edit, history, propose, undo, undo_of, undoable
from jobs.schedule.edits import FIELDS, MISFIRES, OVERLAPS, seconds_of
from jobs.schedule.model import Schedule
from jobs.schedule.preview import Preview, preview
from jobs.schedule.store import find_schedule, list_schedules
from jobs.schedule.wall import zone_of
from jobs.schedule.words import in_words, next_fires

app = typer.Typer(help="Schedules: when jobs run, edited with a look ahead, a history and undo.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The schedule, which has its job's name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Reason = Annotated[str, typer.Option(help="Why; it stands in the schedule's history.")]
Yes = Annotated[bool, typer.Option("--yes", help="Save without asking.")]


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Show every schedule: when, in which zone, and what happens when runs overlap or slots are missed."""
    now = datetime.now(UTC)
    with command_context("cli") as (_, db), db.read() as conn:
        plans = list_schedules(conn)
    if as_json:
        print_json([{"name": plan.name, "words": in_words(plan), **_fields(plan)} for plan in plans])
        return
    table = Table("schedule", "when", "next (UTC)", "overlap", "misfire", "timeout s", "retries", box=None)
    for plan in plans:
        due = next(iter(next_fires(plan, now, 1)), None)
        coming = f"{due:%m-%d %H:%M:%S}" if due else _standing(plan, now)
        table.add_row(
            plan.name, in_words(plan), coming, plan.overlap, plan.misfire, f"{plan.timeout_s:,}", str(plan.retries)
        )
    console.print(table)


@app.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show one schedule: in words, its next five fires, what may surprise, and every value."""
    now = datetime.now(UTC)
    with command_context("cli") as (_, db), db.read() as conn:
        plan = find_schedule(conn, name)
    seen = preview(plan, now)
    if as_json:
        print_json({"name": name, "version": plan.version, **_fields(plan), **_ahead(seen)})
        return
    console.print(f"{name}: {_standing(plan, now)}.")
    _print_ahead(plan, seen)
    table = Table("value", "is", box=None)
    for field, value in _fields(plan).items():
        table.add_row(field, _shown(value))
    console.print(table)


@app.command("edit")
def edit_(
    name: Name,
    reason: Reason,
    cron: Annotated[str | None, typer.Option(help="Run by cron: five fields, days of the week by name.")] = None,
    every: Annotated[str | None, typer.Option(help="Run every so often: 90s, 5min, 6h, 1d.")] = None,
    calendar: Annotated[str | None, typer.Option(metavar="RULE", help="Run by a calendar's rule (RRULE).")] = None,
    zone: Annotated[str | None, typer.Option(help="The zone of cron and calendar, such as Europe/Berlin.")] = None,
    anchor: Annotated[
        str | None,
        typer.Option(help="From when --every or --calendar is counted, as 2026-01-31 06:00; none: long ago."),
    ] = None,
    overlap: Annotated[str | None, typer.Option(help=f"While a run goes on: {', '.join(OVERLAPS)}.")] = None,
    misfire: Annotated[str | None, typer.Option(help=f"For slots nobody claimed: {', '.join(MISFIRES)}.")] = None,
    grace: Annotated[str | None, typer.Option(help="Until an unclaimed slot counts as missed, as 30s.")] = None,
    timeout: Annotated[str | None, typer.Option(help="How long a run may take, as 10min.")] = None,
    retries: Annotated[int | None, typer.Option(help="How often a failed or lost run is tried again.")] = None,
    retry_first: Annotated[str | None, typer.Option(help="Before the first retry; then twice as long each.")] = None,
    retry_most: Annotated[str | None, typer.Option(help="Before a retry at most.")] = None,
    jitter: Annotated[str | None, typer.Option(help="Over how long starts are spread, as 60s.")] = None,
    param: Annotated[
        list[str] | None, typer.Option(metavar="K=V", help="The parameters, all of them; several are possible.")
    ] = None,
    enabled: Annotated[bool | None, typer.Option("--on/--off", help="Switch the schedule on or off for good.")] = None,
    yes: Yes = False,
) -> None:
    """Change a schedule: shows what that means and asks; nothing is saved if somebody else was faster."""
    kinds = {"cron": cron, "interval": every, "calendar": calendar}
    chosen = {kind: expression for kind, expression in kinds.items() if expression is not None}
    if len(chosen) > 1:
        raise UsageError("Say one of --cron, --every and --calendar.")
    lengths = {"grace_s": grace, "timeout_s": timeout, "retry_first_s": retry_first, "retry_most_s": retry_most,
               "jitter_s": jitter}  # fmt: skip
    changes: dict[str, Any] = {field: seconds_of(value) for field, value in lengths.items() if value is not None}
    for kind, expression in chosen.items():
        changes |= {"kind": kind, "expression": expression}
    plain = {"zone": zone, "overlap": overlap, "misfire": misfire, "retries": retries, "enabled": enabled}
    changes |= {field: value for field, value in plain.items() if value is not None}
    if anchor is not None:
        changes["anchor"] = None if anchor == "none" else anchor
    if param is not None:
        changes["params"] = given(param)
    with command_context("cli") as (_, db):
        with db.read() as conn:
            proposal = propose(conn, name, changes)
        _ask(proposal, yes=yes)
        with db.begin() as conn:
            edit(conn, name, changes, expected_version=proposal.seen.version, actor=acting_user(), reason=reason,
                 origin="cli")  # fmt: skip
    console.print(f"{name} runs {in_words(proposal.draft)}." if proposal.draft.enabled else f"{name} is off.")


@app.command("history")
def history_(
    name: Name,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show what was done to a schedule: when, by whom, why, and old and new values."""
    with command_context("cli") as (_, db), db.read() as conn:
        find_schedule(conn, name)
        found = history(conn, name, limit=limit)
    if as_json:
        print_json([{"change": past.id, "at": past.at, "actor": past.actor, "action": past.action, "old": past.old,
                     "new": past.new, "reason": past.reason} for past in found])  # fmt: skip
        return
    table = Table("change", "at (UTC)", "by", "did", "what", "why", box=None)
    for past in found:
        did = past.action.removeprefix("schedule.")
        table.add_row(
            str(past.id), f"{past.at:%Y-%m-%d %H:%M:%S}", past.actor, did, _differences(past), past.reason or ""
        )
    console.print(table)


@app.command("undo")
def undo_(
    name: Name,
    reason: Reason,
    change: Annotated[int | None, typer.Option(help="Which edit, by its number in `history`; else the last.")] = None,
    yes: Yes = False,
) -> None:
    """Take an edit back, by a new edit: shows what that means and asks."""
    with command_context("cli") as (_, db):
        with db.read() as conn:
            find_schedule(conn, name)
            edits = [past.id for past in history(conn, name, limit=1000) if undoable(past)]
            if change is None and not edits:
                raise UsageError(f"{name} has not been edited: there is nothing to undo.")
            number = edits[0] if change is None else change
            proposal = propose(conn, name, undo_of(conn, name, number))
        _ask(proposal, yes=yes)
        with db.begin() as conn:
            undo(conn, name, number, expected_version=proposal.seen.version, actor=acting_user(), reason=reason,
                 origin="cli")  # fmt: skip
    console.print(f"Change {number} of {name} is undone: it runs {in_words(proposal.draft)}.")


def _ask(proposal: Proposal, *, yes: bool) -> None:
    """Shows what would change and what that means; ends the command unless it is wanted."""
    for field, value in proposal.new.items():
        console.print(f"{FIELDS[field]}: {_shown(proposal.old[field])} → {_shown(value)}")
    _print_ahead(proposal.draft, preview(proposal.draft, datetime.now(UTC)))
    if yes:
        return
    if not _at_a_terminal():
        raise UsageError("Nothing was saved: there is no terminal to ask at, so say --yes.")
    if not typer.confirm("Save this?"):
        console.print("Nothing was saved.")
        raise typer.Exit


def _at_a_terminal() -> bool:
    return sys.stdin.isatty()


def _print_ahead(plan: Schedule, seen: Preview) -> None:
    console.print(f"Runs {seen.words}. {seen.how_often}")
    for warning in seen.warnings:
        console.print(f"Mind: {warning}")
    clock = zone_of(plan.zone)
    for due in seen.fires:
        there, here = due.astimezone(clock), due.astimezone()
        elsewhere = [f"{there:%Y-%m-%d %H:%M:%S} {plan.zone}"] if there.utcoffset() else []
        if here.utcoffset() not in (there.utcoffset(), due.utcoffset()):
            elsewhere.append(f"{here:%Y-%m-%d %H:%M:%S} here")
        console.print("  " + " = ".join([f"{due:%Y-%m-%d %H:%M:%S} UTC", *elsewhere]))


def _standing(plan: Schedule, now: datetime) -> str:
    if not plan.enabled:
        return "off"
    if not plan.paused(now):
        return "on"
    until = "somebody resumes it" if plan.paused_until is None else f"{plan.paused_until:%Y-%m-%d %H:%M} UTC"
    return f"paused until {until} by {plan.paused_by}: {plan.paused_reason}"


def _fields(plan: Schedule) -> dict[str, Any]:
    return {field: getattr(plan, field) for field in FIELDS}


def _ahead(seen: Preview) -> dict[str, Any]:
    return {"words": seen.words, "next": seen.fires, "how_often": seen.how_often, "warnings": seen.warnings}


def _differences(past: Happened) -> str:
    return ", ".join(
        f"{label} {_shown(past.old[field])} → {_shown(past.new[field])}"
        if field in past.old
        else f"{label} {_shown(past.new[field])}"
        for field, label in FIELDS.items()
        if field in past.new
    )


def _shown(value: object) -> str:
    if value is None or value == {}:
        return "none"
    return value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
