"""The command `nexaops bench dashboard`."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from typing import Annotated, TypeVar

import typer
from rich.table import Table

from dashboard.bench.fill import Sizes
from dashboard.bench.measure import PARTS, Plan, Result, measure
from dashboard.bench.results import TARGETS, Crowd, Filled, Pages, Painted
from jobs.bench.telling import gather, machine, machine_words
from jobs.core.cli import console, print_json

T = TypeVar("T")


def dashboard(
    runs: Annotated[int, typer.Option(metavar="N", min=1000, max=10_000_000, help="Runs of jobs.")] = 3_000_000,
    transactions: Annotated[
        int, typer.Option(metavar="N", min=1000, max=50_000_000, help="Transactions.")
    ] = 10_000_000,
    days: Annotated[int, typer.Option(metavar="N", min=1, max=730, help="How far back samples and alerts go.")] = 365,
    people: Annotated[int, typer.Option(metavar="N", min=1, max=200, help="Who click at once.")] = 50,
    visits: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Of each page.")] = 20,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep what was filled, and measure it again the next time.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure every page on a desk with years behind it: for one person, for fifty at once, and in a browser.

    Fills a database of its own first, which takes some ten minutes and 9 GB of the folder for temporary files as it stands.
    Exit code 1 if a page says an error; a missed target is shown, for it is the machine's too. Ctrl-C ends it and prints
    what was measured until then.
    """
    results: list[Result] = []
    plan = Plan(Sizes(runs, transactions, days, people), visits, keep)
    with suppress(KeyboardInterrupt):
        gather(lambda tell: measure(plan, tell), PARTS, results)
    filled, pages = _of(results, Filled), _of(results, Pages)
    crowd, painted = _of(results, Crowd), _of(results, Painted)
    if as_json:
        print_json(
            {
                "machine": machine(),
                "targets": TARGETS,
                "filled": filled and filled.document(),
                "pages": [page.document() for page in pages.pages] if pages else [],
                "paths": [path.document() for path in pages.paths] if pages else [],
                "work": [asdict(page) for page in pages.work] if pages else [],
                "errors": list(pages.errors) if pages else [],
                "crowd": crowd and crowd.document(),
                "first_paint": painted.document() if painted else [],
            }
        )
    else:
        _print(filled, pages, crowd, painted)
    if len(results) < PARTS or any(part.errors for part in (pages, crowd) if part):
        raise typer.Exit(1)


def _of(results: list[Result], kind: type[T]) -> T | None:
    return next((result for result in results if isinstance(result, kind)), None)


def _print(filled: Filled | None, pages: Pages | None, crowd: Crowd | None, painted: Painted | None) -> None:
    seen = {page.page: page for page in painted.pages} if painted else {}
    table = Table(box=None, header_style="bold")
    used = {page.page: page for page in pages.work} if pages else {}
    for name in ("", "p50", "p95", "CPU", "sent", "first paint", "drawn"):
        table.add_column(name, justify="right" if name else "left")
    for page in (*pages.pages, *pages.paths) if pages else ():
        found = seen.get(page.page)
        browser = (f"{found.paint_ms:,.0f} ms", f"{found.drawn_ms:,.0f} ms") if found else ("", "")
        work = used.get(page.page)
        cpu = f"{work.dashboard_ms:.0f} + {work.postgres_ms:.0f} ms" if work else ""
        table.add_row(
            page.page, f"{page.p50_ms:,.0f} ms", f"{page.p95_ms:,.0f} ms", cpu, f"{page.bytes / 1000:,.0f} kB", *browser
        )
    table.add_row("wanted", "", f"{TARGETS['page_p95_ms']:.0f} ms", "", f"{TARGETS['page_bytes'] / 1000:.0f} kB",
                  f"{TARGETS['first_paint_ms']:,.0f} ms", "", style="dim")  # fmt: skip
    console.print(table)
    if crowd:
        console.print(
            f"{crowd.people} people at once, {crowd.visits:,} visits: p50 {crowd.p50_ms:,.0f} ms, p95 {crowd.p95_ms:,.0f} ms,"
            f" at most {crowd.most_ms:,.0f} ms (wanted: p95 {TARGETS['crowd_p95_ms']:,.0f} ms)."
        )
    for error in {*(pages.errors if pages else ()), *(crowd.errors if crowd else ())}:
        console.print(f"error: {error}")
    if filled:
        took = f"filled in {filled.seconds:,.0f} s" if filled.seconds else "kept from before"
        rows = ", ".join(f"{name} {count:,}" for name, count in list(filled.rows.items())[:4])
        console.print(f"{filled.bytes / 1e9:.1f} GB {took}: {rows} …")
    console.print(
        f"{machine_words()} For one person nothing is remembered from an earlier look; CPU is of the dashboard and of PostgreSQL,"
        " a visit; the browser is on the same machine."
    )
