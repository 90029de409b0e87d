"""Sends what stands in the outbox of notices, one notice and channel at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from uuid import uuid4

from jobs.alerts.channels import Channel
from jobs.alerts.notices import RETRIES, Notice, claim, conclude
from jobs.core.db import Database


@dataclass(frozen=True, slots=True)
class Tried:
    """One try: the notice on its channel, the state that it is in now, and why it was not taken."""

    notice: Notice
    state: str
    why: str | None


def send_due(
    db: Database,
    channels: Sequence[Channel],
    *,
    actor: str,
    origin: str,
    key: str | None = None,
    retries: int = RETRIES,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Tried]:
    """Tries what is due, of this key or of any, each in a claim of its own, until nothing is."""
    by_name, claimant = {channel.name: channel for channel in channels}, uuid4()
    while not should_stop():
        with db.begin() as conn:
            notice = claim(conn, claimant, key=key)
        if notice is None:
            return
        channel = by_name.get(notice.channel)
        # Another worker may know it: it waits as if it had been tried.
        why = "it is none of NEXAOPS_NOTICE_URLS" if channel is None else channel.send(notice.title, notice.body)
        with db.begin() as conn:
            state = conclude(conn, claimant, notice, why, retries=retries, actor=actor, origin=origin)
        yield Tried(notice, state, why)
