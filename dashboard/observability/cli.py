"""The command `nexaops metrics`."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from jobs.core.cli import console
from jobs.core.errors import NexaError

FILES = ("grafana.json", "prometheus.rules.yaml")

app = typer.Typer(help="What Grafana and Prometheus need to watch the desk.", no_args_is_help=True)


@app.callback()
def _metrics() -> None:
    """Keeps `export` a command of its own, however few there are."""


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to; made if it is not there.")],
) -> None:
    """Write the Grafana dashboard and Prometheus's alert rules into a folder, over those of before."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            (folder / name).write_bytes(files("dashboard.observability").joinpath(name).read_bytes())
    except OSError as error:
        raise NexaError(f"{folder} cannot be written ({error.strerror}): name a folder that can.") from error
    console.print("\n".join(str(folder / name) for name in FILES))
