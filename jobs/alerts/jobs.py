"""send-notice: tells the team on every channel of the settings, and those again that did not take it.

A run that puts a notice in fails at once, and so says it at once, where a channel did not take it; the runs that follow
by the schedule try that channel again. What is given up fails the run that did so and stands on the overview.
"""

from __future__ import annotations

from pydantic import Field

from jobs.alerts.notices import PATIENCE, SEND_NOTICE, TEST, count_due, put
from jobs.core.errors import NexaError, TransientError
from jobs.core.flags import rehearses
from jobs.core.jobs import Every, Params, Run, job


class NoticeParams(Params):
    """What to tell; nothing: only what still waits is sent."""

    title: str = Field("", max_length=300, description="the notice's title; empty: only what still waits is sent")
    body: str = Field("", max_length=4_000, description="what it says")
    key: str = Field("", max_length=200, description="the same key goes to a channel once; empty: a key of its own")


@job(
    name=SEND_NOTICE,
    title="Tell the team",
    does="Sends a notice to every channel of NEXAOPS_NOTICE_URLS, and again to those that did not take it.",
    schedule=Every(seconds=30),
    timeout_s=300,
    params=NoticeParams,
    needs="notice_urls",
)
def send_notice(run: Run, params: NoticeParams) -> None:
    """Counts delivered, waiting and dead: what became of the tries of this run.

    Raises SettingsError without a channel, TransientError where its own notice waits, NexaError where one was given up.
    """
    # Apprise is 0.2 s of imports, which only a run that sends has to pay.
    from jobs.alerts.channels import require_channels  # noqa: PLC0415
    from jobs.alerts.send import send_due  # noqa: PLC0415

    channels = require_channels(run.settings)
    names = [channel.name for channel in channels]
    actor, key = f"run:{run.id}", params.key or f"run-{run.id}"
    with run.db.read() as conn:
        only_says = rehearses(conn, dry_run=run.dry_run)
        if only_says:
            run.info("would send", title=params.title or None, channels=names, waiting=count_due(conn))
    if only_says:
        return
    for name in ("delivered", "waiting", "dead"):
        run.count(name, 0)
    if params.title.strip():
        with run.db.begin() as conn:
            wanted = put(conn, key, params.title.strip(), params.body, names, actor=actor, origin="job")
        if not wanted:
            run.warning("it was sent under this key already, or is under way: nothing was added", key=key)
    waits, dead = [], []
    for tried in send_due(run.db, run.settings, actor=actor, origin="job", should_stop=run.should_stop):
        notice, said = tried.notice, f"{tried.notice.channel}: {tried.why}"
        if tried.state == "lost":
            continue
        run.count(tried.state)
        if tried.state == "delivered":
            run.info("delivered", channel=notice.channel, title=notice.title, attempts=notice.attempts)
            continue
        tell = run.error if tried.state == "dead" else run.warning
        tell(
            "it is given up" if tried.state == "dead" else "it was not taken",
            channel=notice.channel, title=notice.title, attempts=notice.attempts, why=tried.why,
        )  # fmt: skip
        if notice.key.startswith(TEST):
            continue  # whoever asked for it reads there what came of it
        if tried.state == "dead":
            dead.append(f"“{notice.title}” on {said}")
        elif notice.key == key and params.title.strip():
            waits.append(said)
    if dead:
        raise NexaError(f"Given up after {PATIENCE}: {'; '.join(dead)}. Tell the team by other means.")
    if waits:
        raise TransientError(f"“{params.title}” waits: {'; '.join(waits)}. It is tried again for {PATIENCE}.")
