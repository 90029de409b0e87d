"""`nexaops sandbox horizon`: the sandbox Horizon alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs.horizon.sandbox.faults import FaultName, Faults
from jobs.horizon.sandbox.network import LEDGER_INTERVAL_S, SANDBOX_PASSPHRASE
from jobs.horizon.sandbox.server import LOCALHOST, serve

app = typer.Typer(help="A Horizon of our own, without any value on it.", no_args_is_help=True)


FAULT_HELP = (
    f"Switch a fault on, as name or name=value; may be repeated. One of {', '.join(FaultName)}. "
    "GET /sandbox says what each does."
)


@app.callback()
def sandbox() -> None:
    """A Horizon of our own, without any value on it."""


@app.command()
def horizon(
    port: Annotated[int, typer.Option(help="Where to listen; 0 takes a free port.", min=0, max=65535)] = 8000,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = LOCALHOST,
    latency: Annotated[int | None, typer.Option(metavar="MS", help="Every answer waits that long.", min=0)] = None,
    rate_limit: Annotated[
        int | None, typer.Option(metavar="PER_HOUR", help="Requests an hour, with Horizon's headers.", min=1)
    ] = None,
    fault: Annotated[list[str] | None, typer.Option(help=FAULT_HELP)] = None,
    journal: Annotated[Path | None, typer.Option(help="Remember ledgers and accounts in this file.")] = None,
    close_every: Annotated[
        float, typer.Option(metavar="SECONDS", help="How often a ledger closes.", min=0.1)
    ] = LEDGER_INTERVAL_S,
) -> None:
    """Serve the sandbox Horizon until Ctrl-C: HTTP and JSON as Horizon's, genuine XDR and hashes, faults on demand."""
    faults = Faults(*(fault or ()))
    if latency is not None:
        faults.set(FaultName.LATENCY, latency)
    if rate_limit is not None:
        faults.set(FaultName.RATE_LIMIT, rate_limit)

    def announce(url: str) -> None:
        typer.echo(f'Sandbox Horizon on {url}, network "{SANDBOX_PASSPHRASE}"; faults at {url}/sandbox')

    serve(host=host, port=port, faults=faults, journal=journal, interval_s=close_every, announce=announce)
