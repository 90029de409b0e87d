"""Measures the dashboard: a filled database, the dashboard as a process of its own, and people at its WebSockets.

First one person opens every page again and again, and the server has forgotten all remembered reads before each of them:
so does somebody find it who comes alone. Then everybody clicks at the same instant, each on another page, and nothing is
forgotten. At last a browser says when something is seen. Nothing of this machine's settings is used.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import aiohttp
import orjson
import psutil
from platformdirs import user_cache_path
from sqlalchemy import text

from dashboard.bench.fill import Desk, Sizes, fill, open_desk
from dashboard.bench.paint import paint
from dashboard.bench.results import Crowd, Filled, Pages, Painted, Times, Work, percentile, times
from dashboard.bench.serving import dashboard_of
from dashboard.bench.visitor import Place, Visit, a_visitor
from dashboard.navigation import PAGES, START
from jobs.bench.processes import Meter, postmaster
from jobs.bench.telling import Tell
from jobs.core.db import Database, open_database
from jobs.core.embedded import embedded_server
from jobs.core.permissions import Scope
from jobs.core.settings import Settings
from jobs.core.tokens import create_token
from jobs.upgrade import upgrade

PARTS = 4
"""How many results `measure` gives."""
PATHS = ("/health/scheduled-jobs", "/metrics", "/api/v1/runs")
Result = Filled | Pages | Crowd | Painted


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured: how large a desk, how often each page, and whether it is kept for the next time."""

    sizes: Sizes
    visits: int = 20
    keep: bool = False


def measure(plan: Plan, tell: Tell) -> Iterator[Result]:
    """What was filled, every page for one person, everybody at once, and what a browser sees, in this order."""
    with _home(plan) as home, embedded_server(home):
        settings = Settings.model_validate({"NEXAOPS_HOME": home, "DB_NAME": "bench_dashboard"})
        with open_database(settings) as db:
            yield _filled(db, plan, home / "filled.json", tell)
            desk = open_desk(db, plan.sizes)
            with db.begin() as conn:
                token = create_token(
                    conn,
                    f"bench-{uuid4().hex[:8]}",
                    [Scope.READ],
                    lasts=timedelta(days=1),
                    actor="bench",
                    origin="bench",
                )
        places = places_of(desk)
        with dashboard_of(settings) as (address, process):
            servers = (process, postmaster(home))
            yield asyncio.run(_alone(address, servers, desk.cookies[0], token, places, plan.visits, tell))
            tell(f"{len(desk.cookies)} people at once")
            yield asyncio.run(_crowd(address, desk.cookies, places, plan.visits))
            tell("first paint")
            yield paint(address, desk.cookies[0], places)


def places_of(desk: Desk) -> list[Place]:
    """Every page there is; one that shows a single thing is asked for a lively one."""
    asked = {
        "alert": f"id={desk.alert}",
        "rule": f"name={desk.rule}",
        "incident": f"id={desk.incident}",
        "transaction": f"id={desk.transaction}",
        "schedule": "name=reconcile-pending",
        "run": f"id={desk.failed_run}",
        "compare": f"id={desk.failed_run}&with={desk.good_run}",
        "checklist": f"id={desk.checklist}",
        "signing": f"id={desk.checklist}",
        "move": f"id={desk.checklist}",
    }
    return [Place(it.name, "" if it is START else it.name, asked.get(it.name, "")) for it in PAGES]


@contextmanager
def _home(plan: Plan) -> Iterator[Path]:
    """A folder for the database: of this time only, or the one that is kept, emptied if another size lies in it."""
    if not plan.keep:
        # In short names, because the server's socket lies there.
        with tempfile.TemporaryDirectory(prefix="nexaops-bench-") as folder:
            yield Path(folder)
        return
    kept = user_cache_path("nexaops") / "bench-dashboard"
    if kept.exists() and _kept(kept / "filled.json", plan.sizes) is None:
        shutil.rmtree(kept)
    kept.mkdir(parents=True, exist_ok=True)
    yield kept


def _kept(note: Path, sizes: Sizes) -> dict[str, object] | None:
    """What was filled in these sizes before; None if nothing was, or not to its end."""
    if not note.exists():
        return None
    found: dict[str, object] = orjson.loads(note.read_bytes())
    return found if found["sizes"] == asdict(sizes) else None


def _filled(db: Database, plan: Plan, note: Path, tell: Tell) -> Filled:
    upgrade(db)
    began = time.monotonic()
    before = _kept(note, plan.sizes)
    if before is None:
        fill(db, plan.sizes, tell)
        note.write_bytes(orjson.dumps({"sizes": asdict(plan.sizes)}))
    with db.read() as conn:
        rows = conn.execute(
            text("SELECT relname, n_live_tup FROM pg_stat_user_tables WHERE n_live_tup > 0 ORDER BY 2 DESC LIMIT 12")
        )
        known = {row.relname: row.n_live_tup for row in rows}
        size = conn.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
    return Filled(known, size, 0.0 if before else time.monotonic() - began)


async def _alone(
    address: str,
    servers: Sequence[psutil.Process],
    cookie: str,
    token: str,
    places: list[Place],
    visits: int,
    tell: Tell,
) -> Pages:
    """One person, round after round through all pages; the first round, which loads what is loaded late, counts not."""
    found: dict[str, list[Visit]] = {place.page: [] for place in places}
    used = {place.page: Meter(servers) for place in places}
    async with aiohttp.ClientSession() as http, a_visitor(http, address, cookie) as visitor:
        for place in places:
            await visitor.visit(place)
        for number in range(1, visits + 1):
            tell(f"every page, {number} of {visits}")
            for place in places:
                await visitor.forget()
                with used[place.page]:
                    found[place.page].append(await visitor.visit(place))
        paths = []
        for path in PATHS:
            ms, sizes = [], []
            for _ in range(visits):
                await visitor.forget()
                began = time.perf_counter()
                async with http.get(f"{address}{path}", headers={"authorization": f"Bearer {token}"}) as answer:
                    sizes.append(len(await answer.read()))
                ms.append((time.perf_counter() - began) * 1000)
            paths.append(times(path, ms, sizes))
    pages = tuple(_times(page, seen) for page, seen in found.items())
    work = tuple(Work(page, *(round(1000 * it / visits, 1) for it in meter.seconds)) for page, meter in used.items())
    return Pages(pages, tuple(paths), work, _errors(visit for seen in found.values() for visit in seen))


async def _crowd(address: str, cookies: tuple[str, ...], places: list[Place], steps: int) -> Crowd:
    """Everybody opens the start page and, when all have it, clicks on a page of their own, again and again."""
    seen: list[Visit] = []
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        people = [await stack.enter_async_context(a_visitor(http, address, cookie)) for cookie in cookies]
        await asyncio.gather(*(person.visit(places[0]) for person in people))
        for step in range(steps):
            seen += await asyncio.gather(
                *(person.visit(places[(number + step) % len(places)]) for number, person in enumerate(people))
            )
    ms = [visit.ms for visit in seen]
    return Crowd(
        len(cookies), len(seen), percentile(ms, 50), percentile(ms, 95), round(max(ms), 1), _errors(iter(seen))
    )


def _times(page: str, seen: list[Visit]) -> Times:
    return times(page, [visit.ms for visit in seen], [visit.bytes for visit in seen])


def _errors(seen: Iterator[Visit]) -> tuple[str, ...]:
    return tuple(f"{visit.place.page}: {visit.error}" for visit in seen if visit.error is not None)
