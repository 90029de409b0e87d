"""`nexaops bench`: the benchmarks of the README."""

from __future__ import annotations

import os
import platform
import signal
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from jobs.bench.profile import PARTS
from jobs.bench.reconcile import Result, measure
from jobs.bench.scenario import (
    USUAL,
    Scenario,
    budget_words,
    full_scenarios,
    read_budget,
    usual_scenarios,
)
from jobs.core.cli import console, print_json
from jobs.core.errors import UsageError

app = typer.Typer(help="The benchmarks of the README: each on throw-away data of its own.", no_args_is_help=True)
errors = Console(stderr=True, highlight=False)

Rows = Annotated[int | None, typer.Option(metavar="N", min=0, max=20_000_000, help="Settled rows in the table.")]
Pending = Annotated[int | None, typer.Option(metavar="N", min=1, max=200_000, help="Rows to settle.")]
Accounts = Annotated[int | None, typer.Option(metavar="N", min=1, max=2_000_000, help="Users.")]
Custody = Annotated[
    int | None, typer.Option(metavar="N", min=0, max=1000, help="Accounts that share the deposits; 0: one for each.")
]
Latency = Annotated[int | None, typer.Option(metavar="MS", min=0, max=10_000, help="What Horizon waits.")]


@app.callback()
def bench() -> None:
    """The benchmarks of the README: each on throw-away data of its own."""


@app.command()
def reconcile(
    rows: Rows = None,
    pending: Pending = None,
    accounts: Accounts = None,
    custody: Custody = None,
    latency: Latency = None,
    budget: Annotated[
        str | None, typer.Option(metavar="N/s|N/h", help="Requests, like 100/s or 3600/h; or unlimited.")
    ] = None,
    by_hash: Annotated[bool, typer.Option("--by-hash", help="Ask for each hash, whatever would be cheaper.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Every size, latency and budget; takes hours.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure how fast pending rows are settled, and by how many requests; exit code 1 if a run leaves any of them.

    Without options the scenarios of the README, some minutes; with any of the sizes that one scenario. Ctrl-C ends it and
    prints what was measured until then.
    """
    given = {
        "rows": rows,
        "pending": pending,
        "accounts": accounts,
        "custody": custody,
        "latency_ms": latency,
        "per_hour": None if budget is None else read_budget(budget),
        "by_hash": by_hash or None,
    }
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if chosen and full:
        raise UsageError("--full measures every scenario: leave the sizes out.")
    scenarios = full_scenarios() if full else [replace(USUAL, **chosen)] if chosen else usual_scenarios()
    results: list[Result] = []
    with suppress(KeyboardInterrupt):
        _measure(scenarios, results, shown=errors.is_terminal)
    if as_json:
        print_json({"machine": _machine(), "scenarios": [result.document() for result in results]})
    else:
        _print(results)
    if len(results) < len(scenarios) or not all(result.complete for result in results):
        raise typer.Exit(1)


def _measure(scenarios: list[Scenario], results: list[Result], *, shown: bool) -> None:
    """Adds a result for each scenario as soon as it is there."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that nothing is left running, nor on the disk
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=errors, transient=True, disable=not shown) as progress:
        task = progress.add_task("starting PostgreSQL", total=len(scenarios))
        for result in measure(scenarios, lambda words: progress.update(task, description=words)):
            results.append(result)
            progress.advance(task)


def _print(results: list[Result]) -> None:
    table = Table(box=None, header_style="bold")
    for name in ("rows", "pending", "accounts", "custody", "latency", "budget"):
        table.add_column(name, justify="right")
    for name in ("settled/s", "requests", "per row", "run", "postgres", "sandbox"):
        table.add_column(name, justify="right")
    for name in ("http", "decoding", "rules", "database", "other", "memory", "state"):
        table.add_column(name, justify="right")
    for result in results:
        it = result.scenario
        table.add_row(
            f"{it.rows:,}",
            f"{it.pending:,}",
            f"{it.accounts:,}",
            "by hash" if it.by_hash else f"{it.custody:,}",
            f"{it.latency_ms} ms",
            budget_words(it.per_hour),
            f"{result.settled_per_s:,.0f}",
            f"{result.requests:,}",
            f"{result.requests_per_row:.3f}",
            *(
                f"{1000 * result.cpu_s[part] / max(result.settled, 1):.2f} ms"
                for part in ("run", "postgres", "sandbox")
            ),
            *(f"{result.cpu[part]:.0%}" for part in PARTS),
            f"{result.memory_mb['peak']:.0f} MB",
            _state(result),
        )
    console.print(table)
    machine = _machine()
    console.print(
        f"{machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}, Python {machine['python']}; load"
        f" {machine['load']}. Horizon is a sandbox on the same machine. CPU is a row's, of the run, PostgreSQL and the"
        " sandbox; the shares are the run's own."
    )


def _state(result: Result) -> str:
    if result.error is not None:
        return f"{result.state}: {result.error}"
    left = result.scenario.pending - result.settled
    return f"{left:,} left" if left else result.state


def _machine() -> dict[str, object]:
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "load": round(psutil.getloadavg()[0], 1),
        "system": platform.system(),
        "python": platform.python_version(),
    }
