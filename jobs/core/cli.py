"""The commands of the ground: feature flags, people and tokens.

`acting_user` is who the audit trail names for what is done from a shell.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from jobs.core.db import Database, open_database, require_migrated
from jobs.core.errors import NexaError, UsageError
from jobs.core.flags import MEANINGS, Flag, list_flags, set_flag
from jobs.core.logs import configure_logging, redact
from jobs.core.people import add_person, disable_person, list_people, reset_password, set_roles
from jobs.core.permissions import Role, Scope
from jobs.core.settings import Settings, load_settings
from jobs.core.tokens import create_token, lasting, list_tokens, revoke_token

flags = typer.Typer(help="Feature flags: switches that act within a second.", no_args_is_help=True)
users = typer.Typer(help="People who may sign in.", no_args_is_help=True)
tokens = typer.Typer(help="Tokens: how programs act over the HTTP API.", no_args_is_help=True)
# A pipe has no width: nothing is cut there. Reasons and names are people's own words: a bracket in them is a bracket.
console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 200)


def acting_user() -> str:
    """Who acts from this shell, as the audit trail names them."""
    return f"cli:{getpass.getuser()}"


@contextmanager
def command_context(component: str) -> Iterator[tuple[Settings, Database]]:
    """Settings, logs and a migrated database for the time of one command."""
    settings = load_settings()
    configure_logging(settings, component=component)
    with open_database(settings) as db:
        require_migrated(db)
        yield settings, db


@contextmanager
def one_line_errors(*, debug: bool = False) -> Iterator[None]:
    """Ends the process with one line and an exit code for whatever the block raises; with `debug` the trace comes too."""
    try:
        yield
    except NexaError as error:
        if debug:
            raise
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except Exception as error:  # the last boundary: no trace in a user's face
        if debug:
            raise
        first = redact(str(error).strip().split("\n", 1)[0]) or "no reason was given"
        sys.stderr.write(f"error: {type(error).__name__}: {first} (add --debug for the trace)\n")
        raise SystemExit(1) from None


def given(pairs: Sequence[str] | None) -> dict[str, Any]:
    """What was given as `k=v`, several times: what reads as JSON is that, anything else a text."""
    found: dict[str, Any] = {}
    for pair in pairs or ():
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"{pair!r} is not a parameter: say it as name=value.")
        try:
            found[key] = orjson.loads(value)
        except orjson.JSONDecodeError:
            found[key] = value
    return found


def print_json(value: object) -> None:
    """One JSON document on standard output, for scripts."""
    sys.stdout.write(orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2).decode() + "\n")


@flags.command("list")
def flags_list(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show every flag, who set it and why."""
    with command_context("cli") as (_, db), db.read() as conn:
        states = list_flags(conn)
    if as_json:
        print_json({state.flag.value: state.value for state in states})
        return
    table = Table("flag", "is", "when on", "set by", "reason", box=None)
    for state in states:
        table.add_row(
            state.flag.value, "on" if state.value else "off", MEANINGS[state.flag], state.changed_by, state.reason or ""
        )
    console.print(table)


@flags.command("set")
def flags_set(
    name: Annotated[str, typer.Argument(help="The flag, as `flags list` shows it.")],
    value: Annotated[str, typer.Argument(help="on or off (true and false are understood).")],
    reason: Annotated[str, typer.Option(help="Why; it stands in the audit trail.")],
) -> None:
    """Switch a flag; running jobs obey within a second."""
    words = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
    try:
        flag, wanted = Flag(name), words[value.lower()]
    except ValueError:
        raise UsageError(f"There is no flag {name}: the flags are {', '.join(Flag)}.") from None
    except KeyError:
        raise UsageError(f"{value!r} is not accepted for a flag: say on or off.") from None
    with command_context("cli") as (_, db), db.begin() as conn:
        changed = set_flag(conn, flag, wanted, actor=acting_user(), reason=reason, origin="cli")
    console.print(f"{flag.value} is {'on' if wanted else 'off'}" + ("." if changed else " already."))


@users.command("add")
def users_add(
    email: Annotated[str, typer.Argument(help="The person's own address; it can never be used again.")],
    role: Annotated[list[Role], typer.Option(help="What the person may do; may be given several times.")],
    name: Annotated[str | None, typer.Option(help="The printed name.")] = None,
) -> None:
    """Add a person; prints a one-time password, which is stored nowhere."""
    with command_context("cli") as (_, db), db.begin() as conn:
        password = add_person(conn, email, role, actor=acting_user(), origin="cli", name=name)
    console.print(f"{email} may sign in once with the one-time password {password} and then chooses their own.")


@users.command("disable")
def users_disable(
    email: Annotated[str, typer.Argument(help="Whose account to close.")],
    reason: Annotated[str | None, typer.Option(help="Why; it stands in the audit trail.")] = None,
) -> None:
    """Close an account and all its sessions at once."""
    with command_context("cli") as (_, db), db.begin() as conn:
        disable_person(conn, email, actor=acting_user(), origin="cli", reason=reason)
    console.print(f"{email} can no longer sign in; every session has ended.")


@users.command("roles")
def users_roles(
    email: Annotated[str, typer.Argument(help="Whose roles.")],
    role: Annotated[list[Role], typer.Option(help="All the roles from now on; may be given several times.")],
) -> None:
    """Give a person other roles; they hold from the next thing that person does."""
    with command_context("cli") as (_, db), db.begin() as conn:
        set_roles(conn, email, role, actor=acting_user(), origin="cli")
    console.print(f"{email} is {', '.join(sorted(role))} from now on.")


@users.command("reset")
def users_reset(email: Annotated[str, typer.Argument(help="Who has lost the password.")]) -> None:
    """Give a person a new one-time password and end every session; it is stored nowhere."""
    with command_context("cli") as (_, db), db.begin() as conn:
        password = reset_password(conn, email, actor=acting_user(), origin="cli")
    console.print(f"{email} may sign in once with the one-time password {password} and then chooses their own.")


@users.command("list")
def users_list() -> None:
    """Show everybody with an account, the closed ones too."""
    with command_context("cli") as (_, db), db.read() as conn:
        people = list_people(conn)
    table = Table("e-mail", "name", "roles", "account", box=None)
    for person in people:
        state = "closed" if person.disabled_at else "one-time password" if person.must_change else "open"
        table.add_row(person.email, person.name, ", ".join(sorted(person.roles)), state)
    console.print(table)


@tokens.command("create")
def tokens_create(
    name: Annotated[str, typer.Argument(help="What records call it; it can never be used again.")],
    scope: Annotated[list[Scope], typer.Option(help="What it may be used for; may be given several times.")],
    role: Annotated[
        list[Role] | None, typer.Option(help="Whose lines of a checklist it may tick; may be given several times.")
    ] = None,
    expires: Annotated[str, typer.Option(help="How long it lasts, as 12h, 90d or 8w.")] = "90d",
) -> None:
    """Make a token for a program; prints it once, and it is stored nowhere."""
    lasts = lasting(expires)
    with command_context("cli") as (_, db), db.begin() as conn:
        whole = create_token(conn, name, scope, roles=role or (), lasts=lasts, actor=acting_user(), origin="cli")
    # Alone on standard output, so that a script can take it.
    sys.stderr.write(f"The token {name} lasts {expires}. Keep it now: it is shown this once.\n")
    sys.stdout.write(f"{whole}\n")


@tokens.command("list")
def tokens_list() -> None:
    """Show every token and what it may be used for, those that are over too."""
    with command_context("cli") as (_, db), db.read() as conn:
        found = list_tokens(conn)
    now = datetime.now(UTC)
    table = Table("token", "is", "scopes", "roles", "made by", "ends (UTC)", "last used (UTC)", box=None)
    for token in found:
        table.add_row(
            token.name,
            "revoked" if token.revoked_at else "over" if token.expires_at <= now else "open",
            ", ".join(sorted(token.scopes)),
            ", ".join(sorted(token.roles)),
            token.created_by,
            f"{token.expires_at:%Y-%m-%d %H:%M}",
            "never" if token.last_used_at is None else f"{token.last_used_at:%Y-%m-%d %H:%M}",
        )
    console.print(table)


@tokens.command("revoke")
def tokens_revoke(name: Annotated[str, typer.Argument(help="The token, as `tokens list` shows it.")]) -> None:
    """End a token at once."""
    with command_context("cli") as (_, db), db.begin() as conn:
        revoke_token(conn, name, actor=acting_user(), origin="cli")
    console.print(f"The token {name} opens nothing any more.")
