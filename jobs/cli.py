"""The command `nexaops`: wiring only.

Each floor brings its own commands by the entry point group `nexaops.commands`. A command's module is imported when it is
the one that was asked for: nobody who switches a flag waits for Stellar, alembic or the benchmarks. An error is one line
on standard error and an exit code (0 done, 1 the thing failed, 2 wrong usage or settings); a trace only with `--debug`.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import entry_points, version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from jobs.core.cli import one_line_errors
from jobs.core.settings import unknown_settings


class _Commands(dict[str, Any]):
    """Every floor's commands by the names of their entry points; one is imported when it is looked up."""

    def __init__(self) -> None:
        super().__init__({entry.name: entry for entry in entry_points(group="nexaops.commands")})

    def __getitem__(self, name: str) -> Any:
        loaded = super().__getitem__(name).load()
        holder = typer.Typer()
        if isinstance(loaded, typer.Typer):
            holder.add_typer(loaded, name=name)
        else:
            holder.command(name)(loaded)
        return get_group(holder).commands[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default  # noqa: SIM401 - dict.get asks no __getitem__


class Gathered(TyperGroup):
    """The group of all commands, by name."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**{**attributes, "commands": _Commands()})

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(self.commands)


app = typer.Typer(
    cls=Gathered,
    name="nexaops",
    help="The operations desk of NexaFX: jobs that settle Stellar transactions, a dashboard, and checklists.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"nexaops {version('nexaops')}\n")
        raise typer.Exit


@app.callback()
def _global(
    debug: Annotated[bool, typer.Option("--debug", help="Show the trace of an error; may stand anywhere.")] = False,
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    for sentence in unknown_settings(os.environ):
        sys.stderr.write(f"warning: {sentence}\n")


def main() -> None:
    """The entry point of the command."""
    debug = "--debug" in sys.argv
    sys.argv[:] = [argument for argument in sys.argv if argument != "--debug"]
    with one_line_errors(debug=debug):
        app()
