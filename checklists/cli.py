"""The commands of the checklists: `nexaops checklists lint | start | list | show`, and those of `cli_convert`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated
from uuid import UUID

import orjson
import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from checklists import cli_convert
from checklists.editor import editor_schema
from checklists.lines import Kind, Progress, State, TrackedItem, TrackedPhase
from checklists.lint import lint
from checklists.load import BrokenTemplate, Fault, definition_folders, find_template, load_templates
from checklists.reads import ChecklistRun, RunState, list_runs, load_run
from checklists.signatures import SignatureKind
from checklists.signoff import unsigned
from checklists.store import start_run
from jobs.core.cli import acting_user, command_context, console
from jobs.core.errors import UsageError
from jobs.core.people import Person
from jobs.core.permissions import Role

app = typer.Typer(help="Checklists: their definitions, and runs of them.", no_args_is_help=True)
cli_convert.register(app)
_BOX = {State.OPEN: "[ ]", State.DONE: "[x]", State.NA: "[-]"}
_COLOUR = {State.OPEN: "default", State.DONE: "green", State.NA: "dim"}


@app.command("lint")
def lint_command(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files or folders; the shipped one and NEXAOPS_CHECKLISTS_PATH if none.")
    ] = None,
) -> None:
    """Say what is wrong with definitions, a line each; exit code 1 if one of them cannot be used."""
    report = lint(paths or definition_folders())
    for fault in report.errors:
        _print_fault("error", "red", fault)
    for fault in report.warnings:
        _print_fault("warning", "yellow", fault)
    counts = ((report.files, "definition"), (len(report.errors), "error"), (len(report.warnings), "warning"))
    verdict = ", ".join(f"{number} {word}{'' if number == 1 else 's'}" for number, word in counts)
    console.print(f"{verdict}.", style="red" if report.errors else "green")
    if report.errors:
        raise typer.Exit(1)


@app.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of definitions, for editors that complete and check YAML."""
    sys.stdout.write(orjson.dumps(editor_schema(), option=orjson.OPT_INDENT_2).decode() + "\n")


@app.command("start")
def start_command(
    template: Annotated[str, typer.Argument(help="The id of a definition, as `checklists list` shows it.")],
    field: Annotated[list[str] | None, typer.Option(help="A line of the summary as key=value; several times.")] = None,
    urgent: Annotated[str | None, typer.Option(help="Expedite a deployment, and why; a review is due in 48 h.")] = None,
) -> None:
    """Start a run of a checklist and print its number."""
    found = find_template(template)
    fields = _pairs(field or [])
    with command_context("cli") as (_, db), db.begin() as conn:
        run_id = start_run(conn, found, fields, _operator(), origin="cli", urgent=urgent)
    line = f"Run [bold]{run_id}[/] of {escape(found.title)} is open: nexaops checklists show {run_id}"
    console.print(line, soft_wrap=True, markup=True)


@app.command("list")
def list_command() -> None:
    """Show the definitions, broken ones too, and the latest runs."""
    templates = Table("definition", "title", "kind", "version", box=None)
    for template in load_templates():
        if isinstance(template, BrokenTemplate):
            templates.add_row(Text(template.id), Text(f"broken: {template.faults[0]}", style="red"), "", "")
        else:
            templates.add_row(template.id, Text(template.title), template.kind, template.version[:12])
    with command_context("cli") as (_, db), db.read() as conn:
        runs = list_runs(conn)
    console.print(templates)
    if not runs:
        console.print("\nNo run yet: start one with `nexaops checklists start DEFINITION --field key=value`.")
        return
    table = Table("run", "title", "version", "state", "closed", "started (UTC)", "by", box=None)
    for run in runs:
        table.add_row(
            str(run.id),
            Text(run.title),
            Text(run.fields.get("version", "")),
            run.state.value,
            f"{run.done + run.na} of {run.total}",
            f"{run.started_at:%Y-%m-%d %H:%M}",
            Text(run.starter),
        )
    console.print()
    console.print(table)


@app.command("show")
def show_command(
    run: Annotated[int, typer.Argument(help="The number of a run.", min=1, max=2**63 - 1)],
) -> None:
    """Show one run: every line with its state, who and when, and its signatures."""
    with command_context("cli") as (_, db), db.read() as conn:
        found = load_run(conn, run)
    _print_head(found)
    for phase in found.phases:
        console.print(_phase(phase))
    _print_signatures(found)


def _print_fault(word: str, colour: str, fault: Fault) -> None:
    # One fault is one line, however narrow the terminal: editors and scripts read it.
    console.print(Text.assemble((f"{word}: ", colour), str(fault)), soft_wrap=True)


def _pairs(given: list[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"--field {pair!r} is not key=value: write for example --field version=1.4.0")
        if name in fields:
            raise UsageError(f"--field {name} is given twice: keep one of them.")
        fields[name] = value
    return fields


def _operator() -> Person:
    """Who acts from this shell: an administrator, as whoever can open the database here can change all of it."""
    name = acting_user()
    return Person(UUID(int=0), name, name, frozenset({Role.ADMINISTRATOR}))


def _print_head(run: ChecklistRun) -> None:
    console.print(Text(f"Run {run.id}: {run.template.title}", style="bold"))
    console.print(Text(f"{run.state.value}, {_closed(run.progress)}, {run.progress.required_open} required open"))
    console.print(Text(f"started by {run.starter} at {run.started_at:%Y-%m-%d %H:%M} UTC"))
    if run.state is not RunState.OPEN:
        console.print(Text(f"ended by {run.closer} at {run.closed_at:%Y-%m-%d %H:%M} UTC"))
    if run.urgent is not None:
        console.print(
            Text(f"expedited: {run.urgent}; its review is due by {run.review_due_at:%Y-%m-%d %H:%M} UTC", "yellow")
        )
    for field in run.template.fields:
        if field.id in run.fields:
            console.print(Text(f"{field.title}: {run.fields[field.id]}"))


def _print_signatures(run: ChecklistRun) -> None:
    for signature in run.signatures:
        behalf = f" on behalf of {signature.on_behalf_name}" if signature.on_behalf_name else ""
        said = (
            f"{signature.name}{behalf}, {signature.role}, {signature.meaning} {signature.signed_at:%Y-%m-%d %H:%M} UTC"
        )
        if signature.reason is not None:
            said += f": {signature.reason}"
        if signature.kind is SignatureKind.SIGNED and not signature.holds:
            said += f" (void: {signature.voided_why or 'the run is no longer what was signed'})"
        console.print(Text(said, "default" if signature.holds else "dim"))
    for line in unsigned(run):
        console.print(Text(f"{line.title}, {line.meaning}: not signed yet", "dim"))


def _phase(phase: TrackedPhase) -> Tree:
    tree = Tree(Text(f"{phase.definition.title}  {_closed(phase.progress)}", style="bold"), guide_style="dim")
    if phase.waits_for:
        tree.add(Text(f"waits for {', '.join(phase.waits_for)}", style="yellow"))
    for item in phase.items:
        _add(tree, item)
    return tree


def _add(tree: Tree, item: TrackedItem) -> None:
    if item.kind is Kind.NOTE:
        tree.add(Text(item.text, style="italic"))
        return
    line = Text(f"{_BOX[item.state]} {item.label}", style=_COLOUR[item.state])
    if item.definition.need == "optional":
        line.append(" (optional)", style="dim")
    if item.mark.at is not None:
        line.append(f"  {item.mark.name} {item.mark.at:%Y-%m-%d %H:%M} UTC", style="dim")
    if item.mark.reason:
        line.append(f": {item.mark.reason}", style="dim")
    branch = tree.add(line)
    for child in item.children:
        _add(branch, child)


def _closed(progress: Progress) -> str:
    return f"{progress.closed} of {progress.total}"
