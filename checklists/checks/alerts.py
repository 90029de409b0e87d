"""Alerts and notices: whether something is watched, somebody is told, and the team's channels deliver.

Nothing is sent by a check: it looks at the rules, at when they were last evaluated, and at what became of what was sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Literal

from pydantic import Field

from checklists.checks.database import NoParams
from checklists.checks.model import (
    CheckContext,
    CheckParams,
    CheckResult,
    Unable,
    check,
    failed,
    gathered,
    passed,
    unable,
)
from checklists.checks.reach import age, plural, reading, some
from checklists.grammar import Duration
from jobs.alerts.model import Rule
from jobs.alerts.notices import PATIENCE, Notice, given_up_on, newest_on, sent_by_people
from jobs.alerts.store import list_rules, rules_changed, watched_until
from jobs.alerts.words import condition_in_words

_FRESH = timedelta(minutes=2)
_WATCHED: Mapping[str, frozenset[str]] = {
    "job_failure": frozenset({"job.failures"}),
    "error_rate": frozenset({"job.error_share"}),
    "slow_job": frozenset({"job.slowness", "job.limit_share"}),
    "database": frozenset({"database.connect_ms", "database.silent_s", "database.connections_ratio"}),
    "stellar": frozenset({"horizon.verdict", "horizon.usable", "horizon.age_s"}),
}
"""What a rule has to look at to watch it; one of them is enough."""


class RuleParams(CheckParams):
    """Which rule."""

    rule: Literal["job_failure", "error_rate", "slow_job", "database", "stellar"] = Field(description="what it watches")


@check("alerts.rule", title="There is an alert for it", params=RuleParams)
def rule(context: CheckContext, params: RuleParams) -> CheckResult:
    """A rule that watches it is on, is evaluated now, and tells somebody on a channel that exists."""
    channels = _channels(context)
    with reading(context) as conn:
        found = [one for one in list_rules(conn) if one.enabled and one.signal in _WATCHED[params.rule]]
        until = watched_until(conn)
    watched = params.rule.replace("_", " ")
    if not found:
        return failed(
            f"No rule that is on watches {watched}.",
            f"Switch one on that looks at {some(sorted(_WATCHED[params.rule]))}: see `nexaops alerts rules list`.",
        )
    if until is None or context.now - until > _FRESH:
        since = "never" if until is None else f"not for {age(context.now - until)}"
        return failed(
            f"The rules were {since} evaluated.", "Look at the runs of the job evaluate-alerts: a worker has to run it."
        )
    # Whom a person's channel does not reach is told on the team's.
    lost = [one.name for one in found if not _reaches(one, channels)]
    if lost:
        return failed(
            f"{some(lost)} tells only channels that are none of NEXAOPS_NOTICE_URLS.",
            "Let the rule tell the team, or a channel of the settings.",
            channels=channels,
        )
    return passed(
        f"{plural(len(found), 'rule')} on {watched}: {some([one.name for one in found])}, evaluated"
        f" {age(context.now - until)} ago.",
        rules={one.name: condition_in_words(one) for one in found},
        channels=channels,
    )


def _reaches(rule: Rule, channels: Sequence[str]) -> bool:
    told = [step.to.removeprefix("channel:") for step in rule.steps if step.to.startswith("channel:")]
    return len(told) < len(rule.steps) or any(name in channels for name in told)


class DeliveryParams(CheckParams):
    """How long ago a delivery may be."""

    within: Duration = Field(timedelta(days=7), description="delivered within")


@check("alerts.delivery", title="Every channel of the team delivers", params=DeliveryParams)
def delivery(context: CheckContext, params: DeliveryParams) -> CheckResult:
    """The newest notice on each channel that is set, a test or a real one, was taken; what was given up before is named."""
    channels = _channels(context)
    since = context.now - params.within
    with reading(context) as conn:
        newest = newest_on(conn, channels, ended_since=since)
        given_up = given_up_on(conn, channels, since)
    seen = {name: _said(newest[name]) if name in newest else "nothing was sent" for name in channels}
    wrong = [f"{name} ({said})" for name, said in seen.items() if name not in newest or newest[name].state == "dead"]
    if wrong:
        return failed(
            f"Not proven within {age(params.within)}: {some(wrong)}.",
            "Run `nexaops notices test`, which sends a test to each channel, and correct NEXAOPS_NOTICE_URLS.",
            channels=seen,
        )
    lost = [f"{plural(given_up[name], 'notice')} on {name}" for name in channels if name in given_up]
    before = f", though given up before: {some(lost)}" if lost else ""
    return passed(f"{plural(len(channels), 'channel')} delivered within {age(params.within)}{before}.", channels=seen)


@check("alerts.changes", title="Alerts were changed since the incident", params=NoParams)
def changes(context: CheckContext, params: NoParams) -> CheckResult:
    """Which rules people changed since this checklist's run began."""
    with reading(context) as conn:
        found = rules_changed(conn, context.started_at)
    if not found:
        return unable(
            f"No rule was changed since {context.started_at:%Y-%m-%d %H:%M} UTC.",
            "Change or add the rule that would have told you earlier, or say on the item why none has to change.",
        )
    named = [f"{name} ({action.removeprefix('rule.')} by {who})" for name, action, who in found]
    return gathered(f"{plural(len(found), 'rule')} changed: {some(named)}.", rules=named)


@check("alerts.notice", title="The team was told", params=NoParams)
def notice(context: CheckContext, params: NoParams) -> CheckResult:
    """A notice that somebody sent since this checklist's run began was taken by every channel that is set."""
    channels = _channels(context)
    with reading(context) as conn:
        # What alerts tell by themselves says nothing of what is told here.
        found = sent_by_people(conn, channels, context.started_at)
    by_key: dict[str, dict[str, Notice]] = {}
    for one in found:
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
    from jobs.alerts.channels import channels_of  # noqa: PLC0415 - Apprise is 0.2 s that only these checks have to pay

    names = [channel.name for channel in channels_of(context.settings)]
    if not names:
        raise Unable(
            "There is no channel on which the team could be told.",
            "Set NEXAOPS_NOTICE_URLS, or tell them by your own means and tick by hand.",
        )
    return names


def _said(notice: Notice) -> str:
    return f"{notice.state}: {notice.error}" if notice.error else notice.state
