"""Events for other systems: what is sent, how it is signed, and what follows from an answer.

Pure. Signature and headers are those of the Standard Webhooks specification, so that a receiver may use any of its
libraries: HMAC-SHA256 over "id.timestamp.body". The id is the event's own and stays the same at every try, because an
event is delivered at least once and a receiver drops doubles by it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

FIRST_WAIT_S = 10.0
MOST_WAIT_S = 4 * 3600.0
GIVE_UP_AFTER = timedelta(days=3)
"""Since the first try: long enough for a receiver that breaks on a Friday."""


class Fate(StrEnum):
    """What becomes of an event after a try."""

    DELIVERED = "delivered"
    WAITS = "waits"
    DEAD = "dead"  # given up: a person may send it again
    UNWANTED = "unwanted"  # the receiver wants no more events at all: it waits, and so do all others


@dataclass(frozen=True, slots=True)
class Event:
    """One event that is to be sent now; `attempts` counts this try, `first_at` is the first one's time."""

    id: int
    event_id: UUID
    kind: str
    transaction_id: UUID
    payload: Mapping[str, object]
    created_at: datetime
    attempts: int
    first_at: datetime


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: a status, or none and why; `retry_after_s` where the receiver asked for patience."""

    status: int | None
    why: str = ""
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What follows from a reply: the next try in `wait_s` where it waits, and the sentence about what went wrong."""

    fate: Fate
    sentence: str = ""
    wait_s: float = 0.0


def document(event: Event) -> dict[str, object]:
    """The body of the request as JSON: the specification's type, timestamp and data."""
    return {"type": event.kind, "timestamp": event.created_at.isoformat(), "data": dict(event.payload)}


def headers(event: Event, body: bytes, key: bytes, now: datetime) -> dict[str, str]:
    """The headers of one try: the event's id, the second of this try, and the signature over both and the body."""
    timestamp = str(int(now.timestamp()))
    signed = f"{event.event_id}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return {
        "webhook-id": str(event.event_id),
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{signature}",
    }


def judge(event: Event, reply: Reply, now: datetime, chance: float) -> Result:
    """What follows from the reply to a try at `now`; `chance`, from 0 to 1, spreads the tries that come together."""
    if reply.status is not None and 200 <= reply.status < 300:
        return Result(Fate.DELIVERED)
    sentence = _sentence(reply)
    if reply.status == 410:
        return Result(Fate.UNWANTED, sentence, wait_s(event.attempts, chance))
    if now - event.first_at >= GIVE_UP_AFTER:
        return Result(Fate.DEAD, sentence)
    return Result(Fate.WAITS, sentence, max(wait_s(event.attempts, chance), reply.retry_after_s or 0.0))


def wait_s(attempt: int, chance: float) -> float:
    """Seconds from a failed try, counted from 1, to the next: three times as long each time, a fifth more or less."""
    usual = min(MOST_WAIT_S, FIRST_WAIT_S * 3.0 ** min(attempt - 1, 10))
    return usual * (0.8 + 0.4 * chance)


def is_down(reply: Reply) -> bool:
    """Whether the receiver as a whole is in trouble, rather than with this one event."""
    return reply.status is None or reply.status == 429 or reply.status >= 500


def _sentence(reply: Reply) -> str:
    if reply.status is None:
        return f"The receiver gave no answer: {reply.why}."
    if reply.status == 410:
        return "The receiver answers 410: it wants no more events."
    if 300 <= reply.status < 400:
        return f"The receiver answers {reply.status} and points elsewhere; redirects are not followed."
    return f"The receiver answers {reply.status}."
