"""Alerts and notices: whether the team's channels deliver. There are no alert rules yet, and what needs them says so.

What the desk does watch stands on the page Overview and in `/health/scheduled-jobs` and `/metrics`, for a monitoring
system to alert on; an item about a rule is ticked by hand once that has been proved. Nothing is sent by a check: it looks
at what became of what was sent.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field

from checklists.checks.database import NoParams
from checklists.checks.model import CheckContext, CheckParams, CheckResult, Unable, check, failed, passed, unable
from checklists.checks.reach import age, plural, reading, some
from checklists.grammar import Duration
from jobs.alerts.notices import PATIENCE, TEST, Notice, list_notices

_BY_HAND = "Let your monitoring alert on /health/scheduled-jobs and /metrics of the dashboard, prove it once, and tick by hand."
_MOST = 500


class RuleParams(CheckParams):
    """Which rule."""

    rule: Literal["job_failure", "error_rate", "slow_job", "database", "stellar"] = Field(description="what it watches")


@check("alerts.rule", title="There is an alert for it", params=RuleParams)
def rule(context: CheckContext, params: RuleParams) -> CheckResult:
    """Whether a rule is on and leads somewhere."""
    return unable(f"This version has no alert rules, so none for {params.rule.replace('_', ' ')}.", _BY_HAND)


class DeliveryParams(CheckParams):
    """How long ago a delivery may be."""

    within: Duration = Field(timedelta(days=7), description="delivered within")


@check("alerts.delivery", title="Every channel of the team delivers", params=DeliveryParams)
def delivery(context: CheckContext, params: DeliveryParams) -> CheckResult:
    """The newest notice on each channel that is set, a test or a real one, was taken."""
    channels = _channels(context)
    with reading(context) as conn:
        found = list_notices(conn, since=context.now - params.within, limit=_MOST)
    newest = {notice.channel: notice for notice in reversed(found) if notice.state != "waiting"}
    seen = {name: _said(newest[name]) if name in newest else "nothing was sent" for name in channels}
    wrong = [f"{name} ({said})" for name, said in seen.items() if name not in newest or newest[name].state == "dead"]
    if wrong:
        return failed(
            f"Not proven within {age(params.within)}: {some(wrong)}.",
            "Run `nexaops notices test`, which sends a test to each channel, and correct NEXAOPS_NOTICE_URLS.",
            channels=seen,
        )
    return passed(f"{plural(len(channels), 'channel')} delivered within {age(params.within)}.", channels=seen)


@check("alerts.changes", title="Alerts were changed since the incident", params=NoParams)
def changes(context: CheckContext, params: NoParams) -> CheckResult:
    """Which rules changed."""
    return unable(
        "This version has no alert rules that could have changed.", "Say on the item what was changed, and where."
    )


@check("alerts.notice", title="The team was told", params=NoParams)
def notice(context: CheckContext, params: NoParams) -> CheckResult:
    """A notice that was sent since this checklist's run began was taken by every channel that is set."""
    channels = _channels(context)
    with reading(context) as conn:
        found = list_notices(conn, since=context.started_at, limit=_MOST)
    by_key: dict[str, dict[str, Notice]] = {}
    for one in found:
        if not one.key.startswith(TEST):
            by_key.setdefault(one.key, {})[one.channel] = one
    if not by_key:
        raise Unable(
            f"No notice was sent since {context.started_at:%Y-%m-%d %H:%M} UTC.",
            "Press the item's button, or run the job send-notice.",
        )
    for sent in by_key.values():
        if all(name in sent and sent[name].state == "delivered" for name in channels):
            told = sent[channels[0]]
            return passed(
                f"“{told.title}” was delivered on {plural(len(channels), 'channel')}: {some(channels)}.",
                key=told.key, channels={name: _said(sent[name]) for name in channels},
            )  # fmt: skip
    newest = next(iter(by_key.values()))
    seen = {name: _said(newest[name]) if name in newest else "it was not sent there" for name in channels}
    return failed(
        f"Not everybody was told: {some([f'{name} ({said})' for name, said in seen.items() if said != 'delivered'])}.",
        f"What waits is tried again for {PATIENCE}; press the button again for what was given up.",
        channels=seen,
    )


def _channels(context: CheckContext) -> list[str]:
    """The names of the team's channels; Unable says which setting to set."""
    from jobs.alerts.channels import channels_of  # noqa: PLC0415 - Apprise is 0.2 s that only these two checks have to pay

    names = [channel.name for channel in channels_of(context.settings)]
    if not names:
        raise Unable(
            "There is no channel on which the team could be told.",
            "Set NEXAOPS_NOTICE_URLS, or tell them by your own means and tick by hand.",
        )
    return names


def _said(notice: Notice) -> str:
    return f"{notice.state}: {notice.error}" if notice.error else notice.state
