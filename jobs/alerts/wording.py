"""What a notice about alerts says: the worst first, a line each, and where to look. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from jobs.alerts.escalate import Due
from jobs.alerts.model import Alert, Rule
from jobs.alerts.signals import SIGNALS, in_words
from jobs.probes.attention import span

MOST = 12
"""Alerts that a notice names; of more it gives the count."""
_SEVERE = {"critical": "Critical", "warn": "Attention"}


@dataclass(frozen=True, slots=True)
class Telling:
    """One alert of which something is to be told, with its rule."""

    alert: Alert
    rule: Rule
    due: Due


def worst_first(tellings: Sequence[Telling]) -> list[Telling]:
    """Critical ones first, and within that the oldest."""
    return sorted(tellings, key=lambda one: (one.alert.severity != "critical", one.alert.began_at, one.alert.id))


def title_of(tellings: Sequence[Telling], now: datetime) -> str:
    """One line; `tellings` are of one kind and the worst first."""
    worst, count = tellings[0], len(tellings)
    alert, kind = worst.alert, worst.due.kind
    if kind == "resolved":
        name = f"{worst.rule.title}, {alert.subject}" if alert.subject else worst.rule.title
        return f"{count} alerts are over: {name} and more" if count > 1 else f"Over after {_lasted(alert, now)}: {name}"
    how = {"step": "", "reminder": "still "}[kind]
    if kind == "step" and alert.step > 0:
        how = f"nobody has taken it in {_lasted(alert, now)}: "
    severe = _SEVERE[alert.severity]
    if count > 1:
        critical = sum(one.alert.severity == "critical" for one in tellings)
        counted = f", {critical} critical" if critical else ""
        return f"{count} alerts{counted}: {how}{alert.sentence}"
    return f"{severe}: {how}{alert.sentence}"


def body_of(tellings: Sequence[Telling], instead: Sequence[str], now: datetime, dashboard_url: str | None) -> str:
    """A paragraph each, and at the end for whom it was meant."""
    paragraphs = [_paragraph(one, now, dashboard_url) for one in tellings[:MOST]]
    if (more := len(tellings) - MOST) > 0:
        paragraphs.append(f"And {more} more.")
    return "\n\n".join([*paragraphs, *instead])


def _paragraph(one: Telling, now: datetime, dashboard_url: str | None) -> str:
    alert, rule = one.alert, one.rule
    since = f"Since {alert.began_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC, for {_lasted(alert, now)}."
    lines = [f"{alert.sentence}.", f"{rule.title}: {_value(alert, rule)}", f"{since} {_who_has(alert)}"]
    if dashboard_url:
        lines.append(f"{dashboard_url.rstrip('/')}/alert?{urlencode({'id': alert.id})}")
    return "\n".join(lines)


def _value(alert: Alert, rule: Rule) -> str:
    signal = SIGNALS.get(rule.signal)

    def said(value: float) -> str:
        return f"{value:g}" if signal is None else in_words(signal.unit, value)

    reads = "no data now" if alert.value is None else f"it reads {said(alert.value)}"
    return f"{reads}; the limit is {rule.comparison} {said(rule.threshold)}."


def _who_has(alert: Alert) -> str:
    if alert.state == "resolved":
        return f"It is over: {alert.resolution or 'recovered'}."
    return "Nobody has it." if alert.acknowledged_by is None else f"{alert.acknowledged_by} has it."


def _lasted(alert: Alert, now: datetime) -> str:
    return span(((alert.resolved_at or now) - alert.began_at).total_seconds())
