"""The command `nexaops`: wiring only.

Each floor brings its own commands by the entry point group `nexaops.commands`. An error is one line on standard error and
an exit code (0 done, 1 the thing failed, 2 wrong usage or settings); a trace only with `--debug`.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from jobs.core.cli import one_line_errors
from jobs.core.commands import gathered
from jobs.core.settings import unknown_settings

app = typer.Typer(
    cls=gathered("nexaops.commands"),
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
