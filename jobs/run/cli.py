"""The commands of the engine: what there is to run, running it here, and a worker."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from jobs.core.cli import acting_user, command_context, console, given, print_json
from jobs.core.jobs import find_job, load_jobs
from jobs.core.logs import configure_logging
from jobs.core.sentry import start_sentry
from jobs.core.settings import load_settings
from jobs.core.traces import start_traces
from jobs.run import store
from jobs.run.context import News
from jobs.run.execute import execute
from jobs.run.nursery import young_nursery
from jobs.run.store import RunRow
from jobs.schedule import store as schedules
from jobs.schedule.broken import broken_jobs
from jobs.schedule.edits import moment_of
from jobs.schedule.words import in_words, next_fires
from jobs.worker import run_worker

app = typer.Typer(help="Jobs: what there is, run it, pause it, see what it did.", no_args_is_help=True)
errors = Console(stderr=True, highlight=False)

_UNPLANNED: dict[str, Any] = {
    "job": None, "does": None, "schedule": None, "enabled": False, "paused": False, "paused_reason": None, "next": None,
    "last": None,
}  # fmt: skip

Name = Annotated[str, typer.Argument(help="The job, as `jobs list` shows it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def worker(
    concurrency: Annotated[int | None, typer.Option(min=1, max=64, help="Runs at the same time.")] = None,
) -> None:
    """Run a worker: it takes runs from the queue until SIGTERM or Ctrl-C, then ends what it has begun."""
    settings = load_settings()
    configure_logging(settings, component="worker")
    run_worker(settings, concurrency or settings.concurrency)


def backup(as_json: AsJson = False) -> None:
    """Back the database up, here and now: the same as `jobs run backup --wait`."""
    run("backup", wait=True, as_json=as_json)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Show every job: when it runs, how it last ended, and what is broken."""
    now = datetime.now(UTC)
    jobs = load_jobs()
    broken = {it.name: it for it in broken_jobs()}
    with command_context("cli") as (_, db), db.read() as conn:
        plans = schedules.list_schedules(conn)
        newest = store.latest_runs(conn, [plan.name for plan in plans])
    rows = [(plan, newest.get(plan.name)) for plan in plans]
    if as_json:
        print_json(
            [
                {
                    "job": plan.name,
                    "does": jobs[plan.name].does if plan.name in jobs else None,
                    "schedule": in_words(plan),
                    "enabled": plan.enabled,
                    "paused": plan.paused(now),
                    "paused_reason": plan.paused_reason if plan.paused(now) else None,
                    "next": next(iter(next_fires(plan, now, 1)), None),
                    "last": _summary(last) if last else None,
                    "broken": broken.pop(plan.name).reason if plan.name in broken else None,
                }
                for plan, last in rows
            ]
            + [{**_UNPLANNED, "job": it.name, "broken": it.reason} for it in broken.values()]
        )
        return
    table = Table("job", "when", "next (UTC)", "last run", "ended (UTC)", box=None)
    for plan, last in rows:
        due = next(iter(next_fires(plan, now, 1)), None)
        coming = f"{due:%m-%d %H:%M:%S}" if due else "off"
        if plan.paused(now):
            coming = f"paused: {plan.paused_reason}"
        table.add_row(
            plan.name if plan.name in jobs else f"{plan.name} (unknown to this version)",
            in_words(plan),
            coming,
            last.state if last else "never",
            _at(last.finished_at) if last else "",
        )
    console.print(table)
    for it in broken.values():
        console.print(f"{it.name} ({it.module}) is broken: {it.reason}.", soft_wrap=True)


@app.command()
def run(
    name: Name,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Decide everything, write nothing.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Run it here, without a worker, and print the run.")] = False,
    as_json: AsJson = False,
    param: Annotated[list[str] | None, typer.Option(metavar="K=V", help="A parameter; several are possible.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why; it stands in the run and in the audit trail.")] = None,
) -> None:
    """Run a job now: by a worker, or with --wait here. Exit code 1 if it does not succeed."""
    params = given(param)
    store.check_params(find_job(name), params)
    with young_nursery() if wait else nullcontext(), command_context("cli") as (settings, db):
        if wait:
            # They refuse what is not installed, before there is a run that nobody would take.
            start_traces(settings, component="cli")
            start_sentry(settings, component="cli")
        with db.begin() as conn:
            run_id = store.request_run(
                conn,
                job=name,
                params=params,
                dry_run=dry_run,
                actor=acting_user(),
                reason=reason,
                origin="cli",
                queued=not wait,
            )
        if not wait:
            if as_json:
                print_json({"id": run_id, "job": name, "state": "queued"})
            else:
                console.print(f"Run {run_id} is queued: a worker takes it; see `nexaops jobs runs {name}`.")
            return
        # Its lines stand in the run; this terminal is for how far it is and for what is wrong.
        quiet = {} if "log_level" in settings.model_fields_set else {"log_level": "warning"}
        with _asked_to_stop() as shutdown, _bar(name, shown=errors.is_terminal and not as_json) as follow:
            ended = execute(
                db, settings.model_copy(update=quiet), run_id, worker_id=None, shutdown=shutdown, follow=follow
            )
    if as_json:
        print_json(_summary(ended))
    else:
        _print_run(ended)
    if ended.state != "succeeded":
        raise typer.Exit(1)


@app.command()
def pause(
    name: Name,
    reason: Annotated[str, typer.Option(help="Why; everybody sees it.")],
    until: Annotated[str | None, typer.Option(help="When to resume by itself, as 2026-01-31 06:00; UTC.")] = None,
) -> None:
    """Stop a job's schedule; what runs goes on, and it can still be run by hand."""
    moment = None if until is None else moment_of(until)
    with command_context("cli") as (_, db), db.begin() as conn:
        schedules.pause(conn, name, actor=acting_user(), reason=reason, until=moment, origin="cli")
    console.print(f"{name} is paused " + (f"until {moment:%Y-%m-%d %H:%M %Z}." if moment else "until it is resumed."))


@app.command()
def resume(
    name: Name, reason: Annotated[str | None, typer.Option(help="Why; it stands in the audit trail.")] = None
) -> None:
    """Let a paused job's schedule go on."""
    with command_context("cli") as (_, db), db.begin() as conn:
        schedules.resume(conn, name, actor=acting_user(), reason=reason, origin="cli")
    console.print(f"{name} runs on its schedule again.")


@app.command()
def runs(
    name: Annotated[str | None, typer.Argument(help="Only of this job.")] = None,
    state: Annotated[str | None, typer.Option(help="Only in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show what ran and how it ended, newest first."""
    with command_context("cli") as (_, db), db.read() as conn:
        rows = store.list_runs(conn, job=name, state=state, limit=limit)
    if as_json:
        print_json([_summary(row) for row in rows])
        return
    table = Table("run", "job", "state", "asked by", "started (UTC)", "seconds", "counters", "error", box=None)
    for row in rows:
        table.add_row(
            str(row.id),
            row.job + (" (dry)" if row.dry_run else ""),
            row.state,
            row.triggered_by,
            _at(row.started_at),
            "" if row.duration_s is None else f"{row.duration_s:.1f}",
            _counters(row),
            row.error or "",
        )
    console.print(table)


@app.command()
def stop(
    run_id: Annotated[int, typer.Argument(metavar="RUN", min=1, max=2**63 - 1, help="The run's number.")],
    reason: Annotated[str, typer.Option(help="Why; it stands in the run's log.")],
) -> None:
    """End a queued run, or ask a running one to stop at its next batch."""
    with command_context("cli") as (_, db), db.begin() as conn:
        store.stop_run(conn, run_id, acting_user(), reason, origin="cli")
    console.print(f"Run {run_id} is asked to stop.")


def _summary(row: RunRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "job": row.job,
        "state": row.state,
        "dry_run": row.dry_run,
        "trigger": row.trigger,
        "triggered_by": row.triggered_by,
        "params": row.params,
        "counters": row.counters,
        "duration_s": row.duration_s,
        "queued_at": row.queued_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "error_class": row.error_class,
        "error": row.error,
    }


def _print_run(row: RunRow) -> None:
    seconds = "" if row.duration_s is None else f" after {row.duration_s:.1f} s"
    console.print(f"Run {row.id} of {row.job}{' (dry run)' if row.dry_run else ''}: {row.state}{seconds}.")
    if row.counters:
        console.print(f"  {_counters(row)}")
    if row.error:
        console.print(f"  {row.error}")


def _counters(row: RunRow) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in row.counters.items())


def _at(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%m-%d %H:%M:%S}"


@contextmanager
def _asked_to_stop() -> Iterator[threading.Event]:
    """Set by Ctrl-C or SIGTERM: the run then ends properly and is written down, instead of being lost."""
    asked = threading.Event()
    before = {number: signal.signal(number, lambda *_: asked.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _bar(name: str, *, shown: bool) -> Iterator[Any]:
    if not shown:
        yield None
        return
    columns = (*Progress.get_default_columns(), TimeElapsedColumn(), TextColumn("{task.fields[counters]}"))
    with Progress(*columns, console=errors, transient=True) as progress:
        task = progress.add_task(name, total=None, counters="")

        def follow(news: News) -> None:
            counters = " ".join(f"{key}={count}" for key, count in news.counters.items())
            progress.update(task, completed=news.done or 0, total=news.total, counters=counters)

        yield follow
