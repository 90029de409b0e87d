"""probe-status-page: what the network's own status page says, once a minute.

Advice only: a page that does not answer, or says that all is well, proves nothing about the chain, so neither fails the
run nor freezes anything. The checks of checklists ask by the same `look`.
"""

from __future__ import annotations

import asyncio

import aiohttp
import orjson
from sqlalchemy import text

from jobs.core.db import jsonb
from jobs.core.errors import TransientError
from jobs.core.jobs import Every, Params, Run, job
from jobs.horizon.servers import label_of
from jobs.probes.latest import INDICATOR
from jobs.probes.series import write_samples
from jobs.probes.status_summary import Summary, read_summary

ANSWER_S = 10.0
_LARGEST = 4 << 20
_ANSWERED = text("""
INSERT INTO ops.status_pages AS p (page, asked_at, answered_at, indicator, description, components, incidents, maintenances)
VALUES (:page, now(), now(), :indicator, :description, :components, :incidents, :maintenances)
ON CONFLICT (page) DO UPDATE SET asked_at = now(), answered_at = now(), error = NULL, indicator = excluded.indicator,
    description = excluded.description, components = excluded.components, incidents = excluded.incidents,
    maintenances = excluded.maintenances
""")
_SILENT = text("""
INSERT INTO ops.status_pages AS p (page, asked_at, error) VALUES (:page, now(), :error)
ON CONFLICT (page) DO UPDATE SET asked_at = now(), error = excluded.error
""")


class NoSummary(TransientError):
    """The status page gave no summary; the sentence names it by its host only."""


@job(
    name="probe-status-page",
    title="Probe the status page",
    does="Asks the Stellar network's status page for its indicator, incidents and maintenance: advice, never a proof.",
    schedule=Every(seconds=60),
    timeout_s=20,
    params=Params,
    needs="status_page_url",
)
def probe_status_page(run: Run, _params: Params) -> None:
    """Counts `incidents`, `maintenances` and `silent`. A dry run keeps what it finds too: it is a measurement."""
    url = run.settings.status_page_url
    if url is None:
        run.warning("no status page is configured")
        return
    page = label_of(url)
    try:
        summary = look(url)
    except NoSummary as error:
        run.count("silent")
        run.warning(str(error))
        with run.db.begin() as conn:
            conn.execute(_SILENT, {"page": page, "error": str(error)})
        return
    run.count("incidents", len(summary.incidents))
    run.count("maintenances", len(summary.maintenances))
    with run.db.begin() as conn:
        write_samples(conn, page, {INDICATOR: float(summary.level)})
        conn.execute(
            _ANSWERED,
            {
                "page": page,
                "indicator": summary.indicator,
                "description": summary.description,
                "components": jsonb(summary.components),
                "incidents": jsonb(summary.incidents),
                "maintenances": jsonb(summary.maintenances),
            },
        )


def look(url: str, timeout_s: float = ANSWER_S) -> Summary:
    """What the page says now. Raises NoSummary."""
    page = label_of(url)
    status, body = asyncio.run(_fetch(f"{url.rstrip('/')}/api/v2/summary.json", page, timeout_s))
    if status != 200:
        raise NoSummary(f"{page} answered {status}.")
    try:
        return read_summary(orjson.loads(body))
    except ValueError as error:
        raise NoSummary(f"{page} answered {status} with something that is not Statuspage's summary.") from error


async def _fetch(url: str, page: str, timeout_s: float) -> tuple[int, bytes]:
    try:
        async with (
            aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=timeout_s),
                headers={"User-Agent": "nexaops"},
            ) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            body = b""
            async for chunk in response.content.iter_chunked(1 << 16):
                body += chunk
                if len(body) > _LARGEST:
                    raise NoSummary(f"{page} answered with more than {_LARGEST >> 20} MiB.")
            return response.status, body
    except TimeoutError as error:
        raise NoSummary(f"{page} did not answer within {timeout_s:g} s.") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        # Never the error's own words: they repeat the address, which may hold a key.
        raise NoSummary(f"{page} cannot be reached ({type(error).__name__}).") from error
