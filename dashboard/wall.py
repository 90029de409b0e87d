"""The door of the wall view: a page for a screen in a room, by a secret link and without a login.

A plain page of our own, without Streamlit and without a WebSocket: what it shows is all that whoever holds the link can
reach, and that is made for eyes that nobody asked who they are (see `wall_view`). An unknown link, one that was revoked
and one that is none at all get the same words in the same time.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import anyio
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from dashboard import doors, queries, queries_oncall, queries_walls, wall_view
from dashboard.throttle import Throttle
from jobs.alerts.walls import WallLink, find_link, note_seen
from jobs.core.db import Database
from jobs.core.settings import Settings

_WRONG_TRIES, _WINDOW_S = 20, 60.0
_AT_ONCE = 4  # a database that hangs holds these threads, and none that people's pages need
_SEEN_EVERY = timedelta(minutes=1)
_KEPT_FROM_OTHERS = {"cache-control": "no-store", "x-robots-tag": "noindex, nofollow"}


class Wall:
    """The page /wall/<secret>."""

    def __init__(self, settings: Settings, db: Database) -> None:
        self._settings, self._db = settings, db
        self._throttle = Throttle(_WRONG_TRIES, _WINDOW_S)
        self._threads = anyio.CapacityLimiter(_AT_ONCE)

    def routes(self) -> list[Route]:
        # Everything below, because Streamlit answers with its application whatever no route of ours does.
        return [Route(f"{doors.WALL}{{secret:path}}", self.page, methods=["GET"])]

    async def page(self, request: Request) -> Response:
        return await to_thread.run_sync(self._answer, request, limiter=self._threads)

    def _answer(self, request: Request) -> Response:
        link = find_link(queries_walls.links(), request.path_params["secret"])
        if link is None:
            # Only wrong ones are counted: a screen's own link is shown whatever its neighbours behind a proxy try.
            address = doors.address_of(request.client) or "unknown"
            if self._throttle.admits(address, time.monotonic()):
                return PlainTextResponse("There is no such view, or no more.", 404, headers=_KEPT_FROM_OTHERS)
            sentence = "Too many tries from this address: wait a minute."
            return PlainTextResponse(sentence, 429, headers={**_KEPT_FROM_OTHERS, "retry-after": "60"})
        self._note(link)
        standing = queries.standing()
        strips = queries.job_strips(tuple(job.name for job in standing.facts.jobs), wall_view.BARS)
        label = self._settings.network_label
        shown = wall_view.page(standing, queries_oncall.on_call_now(), strips, label, datetime.now(UTC))
        return HTMLResponse(shown, headers=_KEPT_FROM_OTHERS)

    def _note(self, link: WallLink) -> None:
        if link.seen_at is None or datetime.now(UTC) - link.seen_at > _SEEN_EVERY:
            with self._db.begin() as conn:
                note_seen(conn, link.id)
