"""The commands `nexaops notices` and `nexaops bundle`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from jobs.alerts.bundle import INCIDENT_BUNDLE
from jobs.alerts.notices import TEST, list_notices, put
from jobs.core.cli import acting_user, command_context, console
from jobs.core.settings import load_settings
from jobs.run.cli import run as run_job

notices = typer.Typer(
    help="Notices to the team: whether its channels take them, and what was sent.", no_args_is_help=True
)
_ORIGIN = "cli"


@notices.command("test")
def test_command() -> None:
    """Send a test to every channel, a line each with what came of it; exit code 1 if one did not take it."""
    from jobs.alerts.channels import require_channels  # noqa: PLC0415 - 0.2 s that only sending has to pay
    from jobs.alerts.send import send_due  # noqa: PLC0415

    actor, at = acting_user(), datetime.now(UTC)
    title, body = "A test of NexaFX Ops", f"Nothing has happened: {actor} looked whether this channel works."
    with command_context("cli") as (settings, db):
        channels = require_channels(settings)
        key = f"{TEST}{at:%Y%m%dT%H%M%S.%f}"
        with db.begin() as conn:
            put(conn, key, title, body, [channel.name for channel in channels], actor=actor, origin=_ORIGIN)
        tried = list(send_due(db, settings, actor=actor, origin=_ORIGIN, key=key))
    for one in tried:
        mark = Text("ok    ", "green") if one.why is None else Text("failed", "red")
        console.print(Text.assemble(mark, f"  {one.notice.channel}", f": {one.why}" if one.why else ""), soft_wrap=True)
    if any(one.why is not None for one in tried):
        raise typer.Exit(1)


@notices.command("list")
def list_command(limit: Annotated[int, typer.Option(min=1, max=500, help="How many, the newest.")] = 50) -> None:
    """Show what was sent, what waits and what was given up, on which channel and why."""
    with command_context("cli") as (_, db), db.read() as conn:
        found = list_notices(conn, limit=limit)
    if not found:
        sys.stdout.write("No notice yet: `nexaops notices test` sends one to every channel.\n")
        return
    table = Table("asked for (UTC)", "title", "channel", "is", "tries", "why", box=None)
    for one in found:
        table.add_row(
            f"{one.created_at:%Y-%m-%d %H:%M:%S}",
            Text(one.title),
            one.channel,
            one.state,
            str(one.attempts),
            one.error or "",
        )
    console.print(table)


def bundle(
    since: Annotated[
        str | None, typer.Option(help="From when, as 2026-01-31 06:00; UTC. Six hours ago if left out.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Until when; now if left out.")] = None,
) -> None:
    """Gather what an incident is studied from into one file: the same as `jobs run incident-bundle --wait`."""
    given = [f"{name}={value}" for name, value in (("since", since), ("until", until)) if value is not None]
    run_job(INCIDENT_BUNDLE, wait=True, param=given, reason="nexaops bundle")
    made = load_settings().home.glob("bundles/incident-*.zip")
    console.print(f"  {max(made, key=lambda file: file.stat().st_mtime)}", soft_wrap=True)
