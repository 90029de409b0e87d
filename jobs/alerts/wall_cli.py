"""The command `nexaops wall`: links to the view for a screen on the wall."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from jobs.alerts.walls import add_link, list_links, revoke_link
from jobs.core.cli import acting_user, command_context, console, print_json

app = typer.Typer(help="Links to the wall view, which asks for no login.", no_args_is_help=True)
_ORIGIN = "cli"


@app.command("add")
def add_command(
    name: Annotated[str, typer.Argument(help="Where the screen hangs, as in “Office, 2nd floor”.")],
) -> None:
    """Make a link; prints its path once, and it is stored nowhere."""
    with command_context("cli") as (_, db), db.begin() as conn:
        secret = add_link(conn, name, actor=acting_user(), origin=_ORIGIN)
    # Alone on standard output, so that a script can take it.
    sys.stderr.write(
        "Open this path at the dashboard's address; whoever has it sees how things stand. It is shown this once.\n"
    )
    sys.stdout.write(f"/wall/{secret}\n")


@app.command("list")
def list_command(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show every link, when it was last looked at, and those that were revoked."""
    with command_context("cli") as (_, db), db.read() as conn:
        found = list_links(conn)
    if as_json:
        fields = ("id", "name", "created_at", "created_by", "seen_at", "revoked_at", "revoked_by")
        print_json([{field: getattr(link, field) for field in fields} for link in found])
        return
    if not found:
        sys.stdout.write("No wall link yet: `nexaops wall add NAME` makes one.\n")
        return
    table = Table("id", "where", "is", "made by", "made (UTC)", "last looked at (UTC)", box=None)
    for link in found:
        table.add_row(
            str(link.id),
            Text(link.name),
            f"revoked by {link.revoked_by}" if link.revoked_at else "open",
            link.created_by,
            f"{link.created_at:%Y-%m-%d %H:%M}",
            "never" if link.seen_at is None else f"{link.seen_at:%Y-%m-%d %H:%M}",
        )
    console.print(table)


@app.command("revoke")
def revoke_command(
    link_id: Annotated[int, typer.Argument(metavar="ID", help="The link, as `wall list` shows it.")],
    reason: Annotated[str | None, typer.Option(help="Why; it stands in the audit trail.")] = None,
) -> None:
    """End a link; screens that show it go dark within seconds."""
    with command_context("cli") as (_, db), db.begin() as conn:
        name = revoke_link(conn, link_id, actor=acting_user(), origin=_ORIGIN, reason=reason)
    console.print(f"The wall link {link_id} ({name}) opens nothing any more.")
