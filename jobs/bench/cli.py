"""`nexaops bench`: every floor's benchmarks by the entry point group `nexaops.benches`, and those of this floor."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any

import typer
from rich.table import Table

from jobs.bench import jobs as engine
from jobs.bench.profile import PARTS
from jobs.bench.reconcile import Result, measure
from jobs.bench.scenario import (
    USUAL,
    budget_words,
    full_scenarios,
    read_budget,
    usual_scenarios,
)
from jobs.bench.telling import gather, machine, machine_words
from jobs.core.cli import console, print_json
from jobs.core.commands import gathered
from jobs.core.errors import UsageError

app = typer.Typer(
    cls=gathered("nexaops.benches"),
    help="The benchmarks of the README: each on throw-away data of its own.",
    no_args_is_help=True,
)

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
        gather(lambda tell: measure(scenarios, tell), len(scenarios), results)
    if as_json:
        print_json({"machine": machine(), "scenarios": [result.document() for result in results]})
    else:
        _print(results)
    if len(results) < len(scenarios) or not all(result.complete for result in results):
        raise typer.Exit(1)


def jobs(
    minutes: Annotated[
        float, typer.Option(metavar="M", min=0.05, max=600, help="How long the schedules are followed.")
    ] = 5.0,
    runs: Annotated[
        int,
        typer.Option(metavar="N", min=20, max=1000, help="Runs of the backlog; at most 200 are asked for singly."),
    ] = 1000,
    workers: Annotated[
        list[int] | None, typer.Option(metavar="N", min=1, max=32, help="Only by so many; several are possible.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure the engine with jobs that do nothing: runs a second, time to start, punctuality, memory; about eight minutes.

    By 1, 2 and 4 workers, then 200 schedules by two. Exit code 1 if a slot is left out; a missed target is shown, for it is
    the machine's too. Ctrl-C ends it and prints what was measured until then.
    """
    usual = engine.Plan()
    counts = tuple(workers) if workers else usual.workers
    plan = engine.Plan(counts, runs=runs, asked=min(runs, usual.asked), minutes=minutes)
    results: list[engine.Capacity | engine.Slots] = []
    with suppress(KeyboardInterrupt):
        gather(lambda tell: engine.measure(plan, tell), len(plan.workers) + 1, results)
    capacities = [result for result in results if isinstance(result, engine.Capacity)]
    slots = next((result for result in results if isinstance(result, engine.Slots)), None)
    if as_json:
        print_json(
            {
                "machine": machine(),
                "targets": engine.TARGETS,
                "workers": [result.document() for result in capacities],
                "slots": None if slots is None else slots.document(),
            }
        )
    else:
        _print_engine(capacities, slots)
    if slots is None or slots.missing:
        raise typer.Exit(1)


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
    console.print(
        f"{machine_words()} Horizon is a sandbox on the same machine. CPU is a row's, of the run, PostgreSQL and the"
        " sandbox; the shares are the run's own."
    )


def _print_engine(capacities: Sequence[engine.Capacity], slots: engine.Slots | None) -> None:
    table = Table(box=None, header_style="bold")
    for name in ("", "runs/s", "CPU a run", "start p50", "p95", "p99", "most", "idle worker"):
        table.add_column(name, justify="right")
    for it in capacities:
        label = f"{it.workers} worker{'' if it.workers == 1 else 's'}"
        cpu = f"{it.worker_ms:.1f} + {it.postgres_ms:.1f} ms"
        table.add_row(label, f"{it.runs_per_s:,.0f}", cpu, *_ms(it.start), f"{it.idle_mb:.0f} MB")
    wanted = engine.TARGETS
    table.add_row("wanted", f"{wanted['runs_per_s']:.0f}", "", "", f"{wanted['start_p95_ms']:.0f} ms", "", "",
                  f"{wanted['idle_mb']:.0f} MB", style="dim")  # fmt: skip
    console.print(table)
    if slots is not None:
        table = Table(box=None, header_style="bold")
        for name in (f"{slots.slots:,} slots", "p50", "p95", "p99", "most"):
            table.add_column(name, justify="right")
        table.add_row("claimed", *_ms(slots.claimed))
        table.add_row("started", *_ms(slots.started))
        table.add_row("wanted", "", "", "", f"{wanted['slot_most_ms']:.0f} ms", style="dim")
        console.print(table)
        left = f" {slots.missing:,} slots have no run that succeeded." if slots.missing else ""
        console.print(f"{slots.schedules} schedules for {slots.minutes:g} minutes, {slots.workers} workers.{left}")
    console.print(f"{machine_words()} CPU a run: of the workers and of PostgreSQL, on the same machine.")


def _ms(spread: engine.Spread) -> tuple[str, ...]:
    return tuple(f"{it:,.0f} ms" for it in (spread.p50, spread.p95, spread.p99, spread.most))


def _state(result: Result) -> str:
    if result.error is not None:
        return f"{result.state}: {result.error}"
    left = result.scenario.pending - result.settled
    return f"{left:,} left" if left else result.state
