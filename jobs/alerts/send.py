"""Sends what stands in the outbox of notices, one notice and channel at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import uuid4

from jobs.alerts.channels import find_channel
from jobs.alerts.notices import RETRIES, TEST, Notice, claim, conclude
from jobs.core.db import Database
from jobs.core.settings import Settings


@dataclass(frozen=True, slots=True)
class Tried:
    """One try: the notice on its channel, the state that it is in now, and why it was not taken."""

    notice: Notice
    state: str
    why: str | None


def send_due(
    db: Database,
    settings: Settings,
    *,
    actor: str,
    origin: str,
    key: str | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Tried]:
    """Tries what is due, of this key or of any, each in a claim of its own, until nothing is.

    A test is tried once: somebody is looking at it.
    """
    claimant = uuid4()
    while not should_stop():
        with db.begin() as conn:
            notice = claim(conn, claimant, key=key)
        if notice is None:
            return
        channel = find_channel(settings, notice.channel)
        # Another worker may know it: it waits as if it had been tried.
        why = "no setting here leads to it" if channel is None else channel.send(notice.title, notice.body)
        retries = 0 if notice.key.startswith(TEST) else RETRIES
        with db.begin() as conn:
            state = conclude(conn, claimant, notice, why, retries=retries, actor=actor, origin=origin)
        yield Tried(notice, state, why)
