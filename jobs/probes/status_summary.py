"""What Statuspage's `/api/v2/summary.json` says, and how bad that is. Pure: advice, never a proof of what Horizon does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jobs.horizon.health import Verdict

INDICATORS = ("none", "minor", "major", "critical")
"""By how bad they are; their places are what is kept as samples."""
_MAINTENANCE = "maintenance"
_LONGEST = 300
_MOST = 20


@dataclass(frozen=True, slots=True)
class Summary:
    """A status page: its indicator in its own word and as a number of `INDICATORS`, and what it lists."""

    indicator: str
    level: int
    description: str
    components: tuple[Mapping[str, str], ...]
    """Those that do not run as they should: name, status."""
    incidents: tuple[Mapping[str, str], ...]
    """Name, status, impact, at."""
    maintenances: tuple[Mapping[str, str], ...]
    """Under way or planned: name, status, at, until."""


def read_summary(document: Any) -> Summary:
    """The summary of a decoded document. Raises ValueError if it is none."""
    try:
        indicator = str(document["status"]["indicator"])
        # A page under maintenance says so in place of an indicator: it is announced, and no more than minor.
        level = INDICATORS.index("minor" if indicator == _MAINTENANCE else indicator)
        return Summary(
            indicator=indicator,
            level=level,
            description=_short(document["status"].get("description") or indicator),
            components=_listed(
                (one for one in document.get("components") or () if one["status"] != "operational" and not one.get("group")),
                name="name", status="status",
            ),
            incidents=_listed(document["incidents"], name="name", status="status", impact="impact", at="started_at"),
            maintenances=_listed(
                document.get("scheduled_maintenances") or (),
                name="name", status="status", at="scheduled_for", until="scheduled_until",
            ),
        )  # fmt: skip
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError("it is not Statuspage's summary") from error


def verdict_of(level: int) -> Verdict:
    """Minor warns, major and critical are critical."""
    return (Verdict.OK, Verdict.WARN, Verdict.CRITICAL, Verdict.CRITICAL)[level]


def _listed(entries: Iterable[Mapping[str, Any]], **fields: str) -> tuple[Mapping[str, str], ...]:
    return tuple(
        {name: _short(entry["name"] if field == "name" else entry.get(field) or "") for name, field in fields.items()}
        for entry in list(entries)[:_MOST]
    )


def _short(value: object) -> str:
    return str(value).replace("\x00", "")[:_LONGEST]  # PostgreSQL's texts have none
