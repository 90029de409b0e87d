"""What other programs ask without a login: is it alive, do the jobs run, and figures for Prometheus.

Whoever asks is nobody we know: no names, reasons or error texts go out here. The answers are remembered for some
seconds, so that asking often costs nothing, and a database that hangs is given up after three seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import TypeVar

import anyio
from anyio import to_thread
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dashboard import doors, queries
from dashboard.metrics.page import CONTENT_TYPE, Figures
from jobs.core.db import Database, first_line
from jobs.core.jobs import Broken
from jobs.core.logs import get_logger
from jobs.core.settings import Settings
from jobs.probes.attention import FAILURES_CRITICAL, alive, is_live, is_overdue, is_stale, schedules
from jobs.probes.model import Facts, JobFacts, ServerFacts
from jobs.schedule.broken import broken_jobs

log = get_logger(__name__)
PATIENCE_S = 3.0
Json = dict[str, object]
T = TypeVar("T")


def routes(settings: Settings, db: Database) -> list[Route]:
    """/health, /health/scheduled-jobs and /metrics."""
    figures = Figures(settings, db)

    async def liveness(_request: Request) -> Response:
        return JSONResponse({"status": "ok", "version": version("nexaops")}, headers=_FRESH)

    async def scheduled_jobs(_request: Request) -> Response:
        facts = await _within_patience(lambda: queries.standing().facts)
        if facts is None:
            body: Json = {"status": "failing", "database": {"ok": False, "why": "the database does not answer"}}
            return JSONResponse(body, 503, headers=_FRESH)
        body = report(facts, broken_jobs())
        return JSONResponse(body, 200 if body["status"] == "ok" else 503, headers=_FRESH)

    async def metrics(_request: Request) -> Response:
        text = await _within_patience(figures.text)
        return Response(text if text is not None else figures.without_database(), media_type=CONTENT_TYPE)

    return [
        Route("/health", liveness, methods=["GET"]),
        Route("/health/scheduled-jobs", scheduled_jobs, methods=["GET"]),
        Route(doors.METRICS, metrics, methods=["GET"]),
    ]


_FRESH = {"cache-control": "no-store"}


async def _within_patience(read: Callable[[], T]) -> T | None:
    """What `read` gives, run in a thread; None if the database does not answer in time."""
    with anyio.move_on_after(PATIENCE_S):
        try:
            # Abandoned, not awaited: a hanging connection must not hold the answer back.
            return await to_thread.run_sync(read, abandon_on_cancel=True)
        except SQLAlchemyError as error:
            log.error("a health check cannot reach the database", reason=first_line(error))
    return None


def report(facts: Facts, broken: Sequence[Broken]) -> Json:
    """The facts as JSON: `status` is "ok" or "failing", and each part says for itself."""
    jobs: dict[str, Json] = {job.name: _job(job, facts.now) for job in facts.jobs}
    # The reason, which may be anything that a stranger's code says, stands on the page Jobs.
    jobs |= {it.name: {"ok": False, "state": "broken", "module": it.module} for it in broken}
    beating = alive(facts)
    scheduling = sum(schedules(worker, facts.now) for worker in beating)
    workers: Json = {"ok": scheduling > 0, "alive": len(beating), "scheduling": scheduling}
    servers = {server.server: _server(server, facts) for server in facts.servers}
    # One server that can be trusted is enough to settle by.
    horizon: Json = {"ok": any(item["ok"] for item in servers.values()), "servers": servers}
    parts: list[Json] = [*jobs.values(), workers, horizon]
    return {
        "status": "ok" if all(part["ok"] for part in parts) else "failing",
        "at": _time(facts.now),
        "jobs": jobs,
        "workers": workers,
        "database": {"ok": True},
        "horizon": horizon,
    }


def _job(job: JobFacts, now: datetime) -> Json:
    overdue = is_overdue(job, now)
    failing = is_live(job) and job.failures >= FAILURES_CRITICAL
    return {
        "ok": not overdue and not failing,
        "state": "off" if not job.enabled else "paused" if job.paused_at else "failing" if failing
        else "overdue" if overdue else "ok",
        "runs": job.every,
        "last_success_at": _time(job.last_success_at),
        "seconds_since_success": None if job.last_success_at is None else _seconds(now, job.last_success_at),
        "due_by": _time(job.due_by),
        "failures": job.failures,
    }  # fmt: skip


def _server(server: ServerFacts, facts: Facts) -> Json:
    stale = server.sampled_at is None or is_stale(server.sampled_at, facts)
    return {
        "ok": not stale and server.frozen_at is None and server.verdict in ("ok", "warn"),
        "verdict": "no data" if stale else "frozen" if server.frozen_at is not None else server.verdict,
        "sampled_at": _time(server.sampled_at),
        "ledger_age_s": server.age_s,
        "lag_ledgers": server.lag,
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds")


def _seconds(now: datetime, at: datetime) -> float:
    return round((now - at).total_seconds(), 1)
