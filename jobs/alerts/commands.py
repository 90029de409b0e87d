"""The commands `nexaops alerts`: what fires, who has it, what is kept quiet, and what the rules would have done."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from jobs.alerts.acting import acknowledge, end_silence, silence
from jobs.alerts.model import Rule
from jobs.alerts.previewing import preview
from jobs.alerts.store import (
    fired_times,
    get_alert,
    get_rule,
    history,
    list_alerts,
    list_rules,
    list_silences,
    open_alerts,
)
from jobs.alerts.words import condition_in_words, state_in_words
from jobs.core.cli import acting_user, command_context, console, print_json
from jobs.probes.attention import moment, span
from jobs.schedule.edits import seconds_of

app = typer.Typer(help="Alerts: what fires, who has it, and what is kept quiet.", no_args_is_help=True)
rules = typer.Typer(help="The rules: what alerts, and what that would have meant.", no_args_is_help=True)
app.add_typer(rules, name="rules", help="The rules: what alerts, and what that would have meant.")

_ORIGIN = "cli"
_WEEK = timedelta(days=7)
_COLOURS = {"critical": "red", "warn": "yellow"}
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Number = Annotated[int, typer.Argument(help="The alert's number.")]
Reason = Annotated[str, typer.Option(help="Why, in a word: the others see it.")]


@app.command("list")
def list_(
    past: Annotated[bool, typer.Option("--past", help="Also what was resolved within the last seven days.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what fires, critical first; exit code 0 also when something does."""
    now = datetime.now(UTC)
    with command_context("cli") as (_, db), db.read() as conn:
        found = [alert for alert in open_alerts(conn) if past or alert.state == "firing"]
        if past:
            found += list_alerts(conn, since=now - _WEEK, state="resolved", limit=500)
    if as_json:
        print_json([asdict(alert) for alert in found])
        return
    if not found:
        sys.stdout.write("Nothing fires.\n")
        return
    table = Table("number", "severity", "rule", "is", "since", "what", box=None)
    for alert in found:
        since = moment(alert.fired_at or alert.began_at, now)
        severity = Text(alert.severity, _COLOURS[alert.severity])
        table.add_row(str(alert.id), severity, alert.rule, state_in_words(alert, now), since, Text(alert.sentence))
    console.print(table)


@app.command()
def show(number: Number, as_json: AsJson = False) -> None:
    """Show one alert: how it stands, and what became of it step by step."""
    now = datetime.now(UTC)
    with command_context("cli") as (_, db), db.read() as conn:
        alert = get_alert(conn, number)
        entries = history(conn, "alert", str(number))
    if as_json:
        print_json({**asdict(alert), "history": [asdict(entry) for entry in entries]})
        return
    console.print(f"{alert.severity}: {alert.sentence}", soft_wrap=True)
    console.print(f"{alert.rule} is {state_in_words(alert, now)}; look at {alert.link}", soft_wrap=True)
    for entry in entries:
        why = f": {entry.reason}" if entry.reason else ""
        console.print(f"  {entry.at:%Y-%m-%d %H:%M:%S} UTC  {entry.action}  {entry.actor}{why}", soft_wrap=True)


@app.command("acknowledge")
def acknowledge_(number: Number, reason: Reason) -> None:
    """Say that you have it: it escalates no further."""
    with command_context("cli") as (_, db), db.begin() as conn:
        acknowledge(conn, number, acting_user(), reason, origin=_ORIGIN)
    console.print(f"You have alert {number}.")


@app.command("silence")
def silence_(
    rule: Annotated[str, typer.Argument(help="The rule's name, or patterns as of a shell: probe-*.")],
    reason: Reason,
    length: Annotated[str, typer.Option("--for", help="For how long, as 30min, 2h or 1d.")],
    subject: Annotated[str, typer.Option(help="Of what: a job, a server, a host; patterns as of a shell.")] = "*",
) -> None:
    """Tell nobody of what matches for a while; it stays on the pages."""
    until = datetime.now(UTC) + timedelta(seconds=seconds_of(length))
    with command_context("cli") as (_, db), db.begin() as conn:
        number = silence(conn, rule, subject, until, reason, acting_user(), origin=_ORIGIN)
    console.print(f"Silence {number} lasts until {until:%Y-%m-%d %H:%M} UTC.")


@app.command("silences")
def silences_(as_json: AsJson = False) -> None:
    """Show what is kept quiet and which maintenance is planned."""
    with command_context("cli") as (_, db), db.read() as conn:
        found = list_silences(conn)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    if not found:
        sys.stdout.write("Nothing is kept quiet.\n")
        return
    table = Table("number", "kind", "rule", "of", "from (UTC)", "until (UTC)", "by", "why", box=None)
    for one in found:
        since, until = (f"{at:%Y-%m-%d %H:%M}" for at in (one.starts_at, one.ends_at))
        table.add_row(str(one.id), one.kind, one.rule, one.subject, since, until, one.created_by, Text(one.reason))
    console.print(table)


@app.command("unsilence")
def unsilence(number: Annotated[int, typer.Argument(help="The silence's number.")]) -> None:
    """Take a silence or a maintenance window back before its time."""
    with command_context("cli") as (_, db), db.begin() as conn:
        end_silence(conn, number, acting_user(), origin=_ORIGIN)
    console.print(f"Silence {number} is over.")


@rules.command("list")
def list_rules_(as_json: AsJson = False) -> None:
    """Show every rule: its condition, how bad that is, who is told, how often it fired within seven days."""
    with command_context("cli") as (_, db), db.read() as conn:
        found = list_rules(conn)
        fired = fired_times(conn, datetime.now(UTC) - _WEEK)
    if as_json:
        print_json([{**asdict(rule), "fired": fired.get(rule.name, 0)} for rule in found])
        return
    table = Table("rule", "severity", "when", "fired", "tells", box=None)
    for rule in found:
        severity = Text(rule.severity, _COLOURS[rule.severity]) if rule.enabled else Text("off", "dim")
        table.add_row(rule.name, severity, condition_in_words(rule), str(fired.get(rule.name, 0)), _told(rule))
    console.print(table)


@rules.command("preview")
def preview_(
    name: Annotated[str, typer.Argument(help="The rule.")],
    threshold: Annotated[float | None, typer.Option(help="As if it had this threshold.")] = None,
    hold: Annotated[str | None, typer.Option("--for", help="As if it held back so long, as 5min.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a rule would have done within the last seven days, as it is or with another threshold; changes nothing."""
    with command_context("cli") as (_, db), db.read() as conn:
        rule = get_rule(conn, name)
        rule = replace(
            rule,
            threshold=rule.threshold if threshold is None else threshold,
            for_s=rule.for_s if hold is None else seconds_of(hold),
        )
        found = preview(conn, rule)
    if as_json:
        print_json({**asdict(found), "sentence": found.sentence, "firing_s": found.firing.total_seconds()})
        return
    console.print(f"{rule.title}: {condition_in_words(rule)}.", soft_wrap=True)
    console.print(found.sentence, soft_wrap=True)
    for one in found.episodes[-20:]:
        length = span((one.until - one.since).total_seconds())
        end = "now" if one.goes_on else f"{one.until:%m-%d %H:%M}"
        console.print(f"  {one.since:%m-%d %H:%M} to {end} UTC, {length}  {one.subject}", soft_wrap=True)


def _told(rule: Rule) -> str:
    return ", ".join(step.to if step.after_s == 0 else f"{step.to} after {span(step.after_s)}" for step in rule.steps)
