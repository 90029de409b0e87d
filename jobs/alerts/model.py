"""What alerts are made of: readings, rules, alerts and silences, as frozen values.

A signal is a named measurement; a reading is its value for one subject at one moment; a rule says how much of it is too
much, for how long, and who is told; an alert is one time that a rule's condition held for one subject.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from operator import ge, gt, le, lt
from typing import Literal

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {">": gt, ">=": ge, "<": lt, "<=": le}


def fits(name: str, patterns: str) -> bool:
    """Whether a name fits patterns as of a shell, separated by commas; one with `!` in front takes out what fits it."""
    parts = [part.strip() for part in patterns.split(",")]
    wanted = [part for part in parts if not part.startswith("!")] or ["*"]
    return any(fnmatchcase(name, part) for part in wanted) and not any(
        fnmatchcase(name, part[1:]) for part in parts if part.startswith("!")
    )


def only(name: str) -> str:
    """A pattern for this name: a sign in it that means something to patterns, as in http://[::1], fits any one sign."""
    return re.sub(r"[*?\[\],!]", "?", name)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a signal reads for one subject now; `value` None: there is no data, which is neither well nor ill."""

    signal: str
    subject: str
    """A job, a server, a host, a currency; empty where there is only one."""
    value: float | None
    sentence: str
    """How it stands, for a tired person: "reconcile-pending has failed 3 times since 02:14 UTC: Horizon answers 503"."""
    link: str
    """One click to the cause: "/run?id=17"."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an escalation: so long after it fired, these are told unless somebody has acknowledged it."""

    after_s: int
    to: str
    """`team` (every channel of the settings), `on-call`, `role:<role>`, `person:<e-mail>` or `channel:<name>`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When it alerts, how bad that is, who is told, and what to do. `shipped` ones came with the desk."""

    name: str
    title: str
    signal: str
    comparison: str
    threshold: float
    severity: Literal["warn", "critical"]
    steps: tuple[Step, ...]
    subject: str = "*"
    for_s: int = 0
    repeat_s: int | None = None
    folds_into: tuple[str, ...] = ()
    """Names of rules: while one of them fires, this one's alerts follow from it and nobody is told of them; a critical
    one only from a critical one."""
    runbook: str | None = None
    """The id of the checklist's template to start."""
    enabled: bool = True
    shipped: bool = False
    version: int = 1
    changed_at: datetime | None = None
    changed_by: str = ""

    def concerns(self, signal: str, subject: str) -> bool:
        """Whether it watches this signal of this subject."""
        return self.signal == signal and fits(subject, self.subject)

    def holds(self, value: float) -> bool:
        """Whether a reading is too much of it."""
        return COMPARISONS[self.comparison](value, self.threshold)

    @property
    def held_for(self) -> timedelta:
        """How long the condition has to hold until it fires."""
        return timedelta(seconds=self.for_s)


@dataclass(frozen=True, slots=True)
class Alert:
    """One time that a rule's condition held for one subject."""

    id: int
    rule: str
    signal: str
    subject: str
    state: Literal["pending", "firing", "resolved"]
    severity: Literal["warn", "critical"]
    value: float | None
    sentence: str
    link: str
    began_at: datetime
    fired_at: datetime | None
    seen_at: datetime
    quiet_since: datetime | None = None
    resolved_at: datetime | None = None
    resolution: str | None = None
    flapping: bool = False
    folded_into: int | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    acknowledged_why: str | None = None
    step: int = 0
    told_at: datetime | None = None
    reminders: int = 0


@dataclass(frozen=True, slots=True)
class Silence:
    """Nobody is told of what matches while it lasts; `ended_at`: somebody took it back before its time."""

    id: int
    kind: Literal["silence", "maintenance"]
    title: str
    rule: str
    subject: str
    starts_at: datetime
    ends_at: datetime
    reason: str
    created_at: datetime
    created_by: str
    ended_at: datetime | None = None
    ended_by: str | None = None

    def lasts(self, now: datetime) -> bool:
        """Whether it keeps quiet now."""
        return self.ended_at is None and self.starts_at <= now < self.ends_at

    def covers(self, rule: str, subject: str, now: datetime) -> bool:
        """Whether it keeps this rule quiet about this subject now."""
        return self.lasts(now) and fits(rule, self.rule) and fits(subject, self.subject)
