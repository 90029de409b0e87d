"""Sends what stands in the outbox of notices, one notice and channel at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from uuid import uuid4

from jobs.alerts.channels import find_channel
from jobs.alerts.notices import RETRIES, TEST, Notice, claim, conclude
from jobs.core.db import Database
from jobs.core.jobs import Run
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


def send_now(run: Run, keys: Iterable[str]) -> None:
    """The first try of these notices, right after they were put in; what a channel does not take is left to send-notice.

    Counts `told` and `not told` of the run, and never fails it: a channel that is down must not keep the next alert from
    being found.
    """
    for key in keys:
        for tried in send_due(run.db, run.settings, actor=f"run:{run.id}", origin="job", key=key):
            run.count("told" if tried.why is None else "not told")
            if tried.why is not None:
                run.warning("it was not taken", channel=tried.notice.channel, title=tried.notice.title, why=tried.why)
