"""Rules and alerts in words, as page, shell and notice say them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from jobs.alerts.model import Alert, Rule
from jobs.alerts.signals import SIGNALS, Unit, in_words
from jobs.probes.attention import moment, span

COMPARED: Mapping[str, str] = {">": "over", ">=": "at least", "<": "under", "<=": "at most"}


def condition_in_words(rule: Rule) -> str:
    """When a rule fires: "Days until the disk is full under 7 days for 60 min, of host-*"."""
    signal = SIGNALS.get(rule.signal)
    title = signal.title if signal is not None else rule.signal
    held = f" for {span(rule.for_s)}" if rule.for_s else ""
    of = "" if rule.subject == "*" else f", of {subjects_in_words(rule.subject)}"
    # What is so or is not so has no limit: "Settling frozen for 2 min".
    limit = "" if signal is not None and signal.unit is Unit.YES and rule.holds(1) else f" {limit_in_words(rule)}"
    return f"{title}{limit}{held}{of}"


def subjects_in_words(patterns: str) -> str:
    """Patterns of subjects as a sentence says them: "host-*", "all but reconcile-*, sync-wallets"."""
    parts = [part.strip() for part in patterns.split(",")]
    wanted = ", ".join(part for part in parts if not part.startswith("!"))
    without = ", ".join(part[1:] for part in parts if part.startswith("!"))
    return f"{wanted or 'all'} but {without}" if without else wanted


def limit_in_words(rule: Rule) -> str:
    """How much is too much of it: "at least 3", "under 20 %"."""
    signal = SIGNALS.get(rule.signal)
    value = f"{rule.threshold:g}" if signal is None else in_words(signal.unit, rule.threshold)
    return f"{COMPARED[rule.comparison]} {value}"


def state_in_words(alert: Alert, now: datetime) -> str:
    """Where an alert stands: "ada@example.org has it since 02:20 UTC: looking"."""
    if alert.state == "pending":
        return "pending"
    if alert.state == "resolved":
        at = "" if alert.resolved_at is None else f" at {moment(alert.resolved_at, now)}"
        return f"resolved{at}: {alert.resolution}"
    flapping = ", flapping" if alert.flapping else ""
    if alert.acknowledged_at is not None:
        since = moment(alert.acknowledged_at, now)
        return f"firing{flapping}: {alert.acknowledged_by} has it since {since}: {alert.acknowledged_why}"
    if alert.folded_into is not None:
        return f"firing{flapping}: follows from alert {alert.folded_into}"
    return f"firing{flapping}: nobody has it"
