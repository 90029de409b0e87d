"""The commands `nexaops oncall`: who is called now, whose turn comes when, and who stands in for whom. Times are UTC."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text
from sqlalchemy import Connection

from jobs.alerts.rota import Rota, turns
from jobs.alerts.rota_store import (
    add_override,
    drop_rota,
    end_override,
    list_overrides,
    list_rotas,
    move_rota,
    of,
    read_on_call,
    save_rota,
)
from jobs.core.cli import acting_user, command_context, console, print_json
from jobs.core.errors import NotFound

app = typer.Typer(help="Who is on call: the rota, and who stands in for whom.", no_args_is_help=True)
_ORIGIN = "cli"
_WRITTEN = "%Y-%m-%d %H:%M"
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(help="The rota, as `oncall list` shows it; the first is called primary mostly.")]


@app.command("now")
def now_(as_json: AsJson = False) -> None:
    """Show who is called now; exit code 1 if nobody is on call."""
    with command_context("cli") as (_, db), db.read() as conn:
        found = read_on_call(conn, datetime.now(UTC))
    if as_json:
        print_json([asdict(one) for one in found])
    for one in () if as_json else found:
        until = "" if one.until is None else f"until {one.until:{_WRITTEN}} UTC"
        why = "" if one.override is None else f" (stands in: {one.override.reason})"
        # One line each, however narrow the terminal: scripts read it too.
        console.print(f"{one.rota or 'contact':<10} {one.name} {one.email} {until}{why}".rstrip(), soft_wrap=True)
        if one.fault is not None:
            console.print(Text(f"{'':<10} {one.fault}", "red"), soft_wrap=True)
    if not found:
        if not as_json:
            sys.stdout.write("Nobody is on call: `nexaops oncall set` enters who takes turns.\n")
        raise typer.Exit(1)


@app.command("list")
def list_(
    weeks: Annotated[int, typer.Option(min=1, max=52, help="How many weeks ahead.")] = 4, as_json: AsJson = False
) -> None:
    """Show the turns of the next weeks with who stands in, and the numbers of the overrides."""
    now = datetime.now(UTC)
    with command_context("cli") as (_, db), db.read() as conn:
        rotas, overrides = list_rotas(conn), list_overrides(conn, now)
    ahead = [(rota, turns(rota, of(rota, overrides), now, now + timedelta(weeks=weeks))) for rota in rotas]
    if as_json:
        print_json([{**asdict(rota), "turns": [asdict(turn) for turn in found]} for rota, found in ahead])
        return
    if not rotas:
        sys.stdout.write("No rota yet: `nexaops oncall set` enters who takes turns.\n")
        return
    table = Table("rota", "who", "from (UTC)", "until (UTC)", "override", box=None)
    for rota, found in ahead:
        for turn in found:
            why = "" if turn.override is None else f"{turn.override.id}: {turn.override.reason}"
            table.add_row(
                rota.name, turn.person, f"{turn.starts_at:{_WRITTEN}}", f"{turn.ends_at:{_WRITTEN}}", Text(why)
            )
    console.print(table)


@app.command("set")
def set_(
    name: Name,
    people: Annotated[list[str], typer.Argument(help="Who takes turns, in order: their accounts' addresses.")],
    starts: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The day of the first one's first turn.")],
    handover: Annotated[datetime, typer.Option(formats=["%H:%M"], help="When turns begin, by the clock of the zone.")],
    days: Annotated[int, typer.Option(min=1, max=366, help="How many days a turn lasts.")] = 7,
    zone: Annotated[str, typer.Option(help="The zone by whose clock it is handed over.")] = "UTC",
) -> None:
    """Enter a rota, or write an old one anew."""
    with command_context("cli") as (_, db), db.begin() as conn:
        seen = next((rota.version for rota in list_rotas(conn) if rota.name == name), 0)
        save_rota(
            conn,
            name,
            seen,
            zone=zone,
            starts_on=starts.date(),
            handover=handover.time(),
            turn_days=days,
            people=people,
            actor=acting_user(),
            origin=_ORIGIN,
        )
        found = next(one for one in read_on_call(conn, datetime.now(UTC)) if one.rota == name)
    console.print(f"{name}: {found.name} is on call until {found.until:{_WRITTEN}} UTC.", soft_wrap=True)


@app.command("move")
def move(
    name: Name, place: Annotated[int, typer.Argument(min=1, help="As which of all rotas it is called; 1 is first.")]
) -> None:
    """Have a rota called earlier or later than the others."""
    with command_context("cli") as (_, db), db.begin() as conn:
        move_rota(conn, name, _seen(conn, name).place, place, actor=acting_user(), origin=_ORIGIN)
        order = [rota.name for rota in list_rotas(conn)]
    console.print(f"Called in this order: {', '.join(order)}.", soft_wrap=True)


@app.command("override")
def override(
    rota: Name,
    person: Annotated[str, typer.Argument(help="Who stands in: the address of their account.")],
    until: Annotated[datetime, typer.Option(formats=[_WRITTEN], help="Until when, as 2026-01-31 06:00; UTC.")],
    reason: Annotated[str, typer.Option(help="Why; it stands beside it and in the audit trail.")],
    since: Annotated[
        datetime | None, typer.Option("--from", formats=[_WRITTEN], help="From when; now if left out.")
    ] = None,
) -> None:
    """Have somebody stand in for whoever's turn it is."""
    begin = datetime.now(UTC) if since is None else since.replace(tzinfo=UTC)
    with command_context("cli") as (_, db), db.begin() as conn:
        number = add_override(
            conn, rota, person, begin, until.replace(tzinfo=UTC), actor=acting_user(), origin=_ORIGIN, reason=reason
        )
    console.print(f"Override {number}: {person} stands in on {rota} until {until:{_WRITTEN}} UTC.", soft_wrap=True)


@app.command("end")
def end(number: Annotated[int, typer.Argument(help="The override, as `oncall list` shows it.")]) -> None:
    """Take an override back from now on."""
    with command_context("cli") as (_, db), db.begin() as conn:
        end_override(conn, number, actor=acting_user(), origin=_ORIGIN)
    console.print(f"Override {number} is over.")


@app.command("drop")
def drop(
    name: Name, reason: Annotated[str, typer.Option(help="Why; it stands in the audit trail, with what it was.")]
) -> None:
    """Take a rota away, with its overrides."""
    with command_context("cli") as (_, db), db.begin() as conn:
        drop_rota(conn, name, _seen(conn, name).version, actor=acting_user(), origin=_ORIGIN, reason=reason)
    console.print(f"The rota {name} is gone.")


def _seen(conn: Connection, name: str) -> Rota:
    """The rota as it stands; NotFound if there is none of that name."""
    found = next((rota for rota in list_rotas(conn) if rota.name == name), None)
    if found is None:
        raise NotFound(f"There is no rota {name}: `nexaops oncall list` shows them.")
    return found
