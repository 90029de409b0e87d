"""How fast and how well a job runs, in words: percentiles, the trend against the week before, success rates. Pure."""

from __future__ import annotations

import math

from dashboard.components.markup import Html, join, link, tag, url
from dashboard.components.times import lasted
from dashboard.queries_runs import JobFigures

ENOUGH = 20
"""A 95th percentile of fewer runs is one run's luck: no trend is told from it."""
NOTABLE = 0.2
_NOTABLE_S = 0.2


def trend(now: float | None, before: float | None, *, timed: int, timed_before: int) -> str:
    """How the 95th percentile has moved: "1.6 times the week before"; empty where nothing can be said."""
    if now is None or before is None or timed < ENOUGH or timed_before < ENOUGH:
        return ""
    if abs(now - before) < _NOTABLE_S or abs(now - before) < NOTABLE * before:
        return "as in the week before"
    if now > before:
        return f"{now / before:.1f} times the week before" if before > 0.05 else "slower than the week before"
    return f"{1 - now / before:.0%} less than the week before"


def is_slower(now: float | None, before: float | None, *, timed: int, timed_before: int) -> bool:
    """Whether it has become so much slower that somebody should look: twice as slow, and by a second."""
    if now is None or before is None or timed < ENOUGH or timed_before < ENOUGH:
        return False
    return now > 2 * before and now - before > 1.0


def share(well: int, ill: int) -> str:
    """How much of what ended went well; never rounded up to 100 % while something failed."""
    if not well + ill:
        return "–"
    thousandths = math.floor(1000 * well / (well + ill))
    return f"{thousandths / 10:g}%"


def figures(found: JobFigures | None, as_of: Html) -> Html:
    """The figures of a row, each with its unit, and how old they are: the same for all rows."""
    if found is None or not found.well_week + found.ill_week + found.missed_day:
        return join()
    facts = {"timed": found.timed, "timed_before": found.timed_before}
    said = trend(found.p95, found.before, **facts)
    slower = is_slower(found.p95, found.before, **facts)
    missed = link(f"{found.missed_day} missed", url("runs", view="missed", job=found.job))
    return tag(
        "div",
        _rate("24 h", found.well_day, found.ill_day, "in the last 24 hours"),
        _rate("7 d", found.well_week, found.ill_week, "in the last 7 days"),
        *(
            _figure(name, lasted(value), f"of the newest {found.timed:,} successes of the last 7 days")
            for name, value in (("p50", found.p50), ("p95", found.p95), ("p99", found.p99))
            if value is not None
        ),
        tag("span", f"p95 {said}", class_="nx-warn" if slower else None) if said else "",
        tag("span", missed, " in 24 h") if found.missed_day else "",
        tag("span", "as of ", as_of),
        class_="nx-note nx-numbers",
    )


def _rate(name: str, well: int, ill: int, when: str) -> Html:
    return _figure(name, share(well, ill), f"{well:,} of {well + ill:,} runs succeeded {when}")


def _figure(name: str, value: str, meaning: str) -> Html:
    return tag("span", f"{name} ", tag("b", value), title=meaning)
