"""deliver-events: sends the events of settled transactions to the one receiver that the settings name.

At least once: an event counts as delivered when the receiver's 2xx has been written down, and a sender that dies
before that leaves it to the next. A few are sent at a time, each of another transaction, in claims of some seconds. A
receiver that is down is asked for no more than one handful a run.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID, uuid4

import aiohttp
import orjson
from pydantic import Field

from jobs.core.errors import Conflict, NexaError
from jobs.core.jobs import Every, Params, Run, job
from jobs.horizon.quota import read_retry_after
from jobs.horizon.servers import label_of
from jobs.reconcile.outbox import Event, Fate, Reply, Result, document, headers, is_down, judge
from jobs.reconcile.outbox_store import claim, conclude, count_due, revive
from jobs.schedule.store import pause

JOB = "deliver-events"
AT_ONCE = 10
ANSWER_S = 10.0
WORK_S = 10.0
"""A run begins no new handful after this long: the next slot goes on, and none is skipped."""


class DeliverParams(Params):
    """Which events to send."""

    transaction_id: UUID | None = Field(None, description="only the events of this transaction")
    again: bool = Field(False, description="also what was given up: it is tried for three more days")


@job(
    name=JOB,
    title="Deliver events",
    does="Sends the events of settled transactions to NEXAOPS_WEBHOOK_URL, signed, until the receiver has taken them.",
    schedule=Every(seconds=15),
    timeout_s=60,
    params=DeliverParams,
    needs="webhook_url",
)
def deliver_events(run: Run, params: DeliverParams) -> None:
    """Counts delivered, waiting and dead: what became of the tries of this run.

    Raises NexaError when the receiver wants no more events; the schedule is paused then.
    """
    if run.settings.webhook_url is None:
        run.info("no events are sent: NEXAOPS_WEBHOOK_URL is not set")
        return
    if run.dry_run:
        with run.db.read() as conn:
            run.count("would_send", count_due(conn, transaction_id=params.transaction_id))
        return
    for name in ("delivered", "waiting", "dead"):
        run.count(name, 0)
    if params.again:
        with run.db.begin() as conn:
            run.count("revived", revive(conn, transaction_id=params.transaction_id, actor=f"run:{run.id}"))
    asyncio.run(_deliver(run, run.settings.webhook_url, params.transaction_id))


async def _deliver(run: Run, url: str, transaction_id: UUID | None) -> None:
    claimant, began = uuid4(), time.monotonic()
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=ANSWER_S),
        headers={"Content-Type": "application/json", "User-Agent": "nexaops"},
    ) as session:
        while time.monotonic() - began < WORK_S and not run.should_stop():
            with run.db.begin() as conn:
                events = claim(conn, claimant, transaction_id=transaction_id, most=AT_ONCE)
            if not events:
                return
            replies = await asyncio.gather(*(_send(session, url, event, run.settings.webhook_key) for event in events))
            results = [
                (event, judge(event, reply, datetime.now(UTC), random.random()))  # noqa: S311 - spreads load
                for event, reply in zip(events, replies, strict=True)
            ]
            with run.db.begin() as conn:
                conclude(conn, claimant, results)
            _tell(run, label_of(url), results)
            if any(result.fate is Fate.UNWANTED for _, result in results):
                _stop_for_good(run, label_of(url))
            if all(is_down(reply) for reply in replies):
                run.warning(
                    "the receiver is in trouble: what else waits is left to the next run", receiver=label_of(url)
                )
                return


async def _send(session: aiohttp.ClientSession, url: str, event: Event, key: bytes) -> Reply:
    """One try; whatever the receiver does instead of answering is a reply without a status."""
    body = orjson.dumps(document(event), option=orjson.OPT_SORT_KEYS)
    try:
        # No redirects: what gets the events must be the receiver that was configured. The body is of no interest.
        async with session.post(
            url, data=body, headers=headers(event, body, key, datetime.now(UTC)), allow_redirects=False
        ) as response:
            return Reply(response.status, retry_after_s=_patience(response.status, response.headers))
    except TimeoutError:
        return Reply(None, f"it took longer than {ANSWER_S:g} s")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        # Never the error's own words: they repeat the address, which may hold a key.
        return Reply(None, f"the connection failed ({type(error).__name__})")


def _patience(status: int, answered: Mapping[str, str]) -> float | None:
    return read_retry_after(answered) if status in (429, 503) else None


def _tell(run: Run, receiver: str, results: list[tuple[Event, Result]]) -> None:
    for event, result in results:
        if result.fate is Fate.DELIVERED:
            run.count("delivered")
            continue
        run.count("dead" if result.fate is Fate.DEAD else "waiting")
        said = "an event is given up" if result.fate is Fate.DEAD else "an event was not taken"
        tell = run.error if result.fate is Fate.DEAD else run.warning
        tell(
            said,
            kind=event.kind,
            transaction=str(event.transaction_id),
            receiver=receiver,
            attempts=event.attempts,
            why=result.sentence,
        )


def _stop_for_good(run: Run, receiver: str) -> None:
    """Pauses the schedule: a receiver that said 410 must not be asked again until a person has looked."""
    sentence = f"{receiver} answers 410: it wants no more events. Set NEXAOPS_WEBHOOK_URL right, then resume {JOB}."
    # Paused already: this run was asked for by a person, who reads the error.
    with suppress(Conflict), run.db.begin() as conn:
        pause(conn, JOB, actor=f"run:{run.id}", reason=sentence, origin="job")
    raise NexaError(sentence)
