"""What the network's own status page says, as a panel: advice, never a proof."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from dashboard.components.layout import empty, section, table
from dashboard.components.markup import Html, join, show, tag
from dashboard.components.states import chip
from dashboard.components.times import age, clock, now
from jobs.probes.attention import STALE_INTERVALS
from jobs.probes.latest import StatusPage
from jobs.probes.status_summary import INDICATORS, verdict_of

EVERY_S = 60.0


def status_panel(page: str, found: StatusPage | None) -> None:
    """The page's indicator with its age, and what it lists."""
    section("The network's status page", f"{page}, advice and never a proof")
    if found is None:
        empty(f"What {page} says will stand here.", "The job probe-status-page asks it once a minute.")
        return
    fresh = found.answered_at is not None and (now() - found.answered_at).total_seconds() <= EVERY_S * STALE_INTERVALS
    lines: list[Html] = [tag("p", _state(found, fresh=fresh), " ", age(found.answered_at, interval_s=EVERY_S))]
    if found.error is not None:
        lines.append(tag("p", f"It gave no answer when it was asked last: {found.error}", class_="nx-note"))
    show(*lines)
    rows = [
        *(("Incident", one["name"], _spoken(one), clock(_moment(one.get("at")))) for one in found.incidents),
        *(("Maintenance", one["name"], _spoken(one), join(clock(_moment(one.get("at"))), " to ", clock(_moment(one.get("until")))))
          for one in found.maintenances),
        *(("Part", one["name"], _spoken(one), "") for one in found.components),
    ]  # fmt: skip
    if rows:
        table(("Kind", "What", "State", "When"), rows, label="What the status page lists")


def _state(found: StatusPage, *, fresh: bool) -> Html:
    if not fresh or found.indicator is None:
        return chip("stale")
    level = INDICATORS.index(found.indicator) if found.indicator in INDICATORS else 1
    return join(chip(verdict_of(level).value, found.indicator if level else None), f" {found.description}")


def _spoken(entry: Mapping[str, str]) -> str:
    return ", ".join(entry[name].replace("_", " ") for name in ("status", "impact") if entry.get(name))


def _moment(value: str | None) -> datetime | None:
    """A time of the page's; None where it gives none, or one that cannot be read."""
    try:
        at = datetime.fromisoformat(value or "")
    except ValueError:
        return None
    return at if at.tzinfo else None
