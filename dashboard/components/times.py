"""Times: how long ago, and when, in UTC and in the reader's own zone.

Ages go on counting in the browser (`assets/desk.js`), so that a page whose server has gone shows its data getting old
instead of a fresh-looking green.
"""

from __future__ import annotations

import functools
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from dashboard.components.markup import Html, tag
from jobs.probes.attention import STALE_INTERVALS, span


def now() -> datetime:
    """This moment, aware."""
    return datetime.now(UTC)


def local_zone() -> ZoneInfo:
    """The zone of the reader's browser; UTC when it did not say."""
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def city(zone: ZoneInfo) -> str:
    """What a zone is called beside a time: "Berlin"."""
    return zone.key.rpartition("/")[2].replace("_", " ")


def both(at: datetime) -> str:
    """A time in full, in UTC and in the reader's zone: "2026-11-23 02:14:05 UTC · 03:14:05 in Berlin"."""
    return _both(at, local_zone())


@functools.lru_cache(maxsize=20_000)
def _both(at: datetime, zone: ZoneInfo) -> str:
    here, utc = at.astimezone(zone), at.astimezone(UTC)
    written = f"{_written(utc)} UTC"
    if here.utcoffset() == utc.utcoffset():
        return written
    day = "" if here.date() == utc.date() else f"{here:%d %b} "
    return f"{written} · {day}{_written(here)[11:]} in {city(zone)}"


def clocks(at: datetime, zone: ZoneInfo, today: date, *, seconds: bool = True) -> tuple[str, str]:
    """What the clock shows in UTC and in the zone, ("22:42:05 UTC", "23:42 Berlin"), with a day that is not `today`.

    The second is empty where both show the same.
    """
    utc, here = at.astimezone(UTC), at.astimezone(zone)
    day = "" if utc.date() == today else f"{utc:%-d %b} "
    said = f"{day}{utc.time().isoformat('seconds' if seconds else 'minutes')} UTC"
    if here.utcoffset() == utc.utcoffset():
        return said, ""
    other = "" if here.date() == utc.date() else f"{here:%-d %b} "
    return said, f"{other}{here.time().isoformat('minutes')} {city(zone)}"


def _written(at: datetime) -> str:
    """As strftime writes "%Y-%m-%d %H:%M:%S", in a tenth of its time."""
    return at.isoformat(" ", "seconds")[:19]


def clock(at: datetime | None) -> Html:
    """The time of day in UTC, with date and local time on hover; the date too when it is not today."""
    if at is None:
        return tag("span", "never", class_="nx-quiet")
    utc = at.astimezone(UTC)
    shown = f"{utc:%H:%M:%S}" if utc.date() == now().date() else f"{utc:%-d %b %H:%M:%S}"
    return tag("time", shown, datetime=utc.isoformat(), title=both(at), class_="nx-num")


def age(at: datetime | None, *, interval_s: float | None = None, none: str = "never") -> Html:
    """How long ago: "12 s ago", counting on.

    With `interval_s`, how often it should be renewed, it turns grey past three intervals and says "no data since …".
    """
    if at is None:
        return tag("span", none, class_="nx-age nx-quiet")
    seconds = (now() - at).total_seconds()
    said, looks, limits = f"{span(seconds)} ago", "nx-age nx-num", {}
    if interval_s is not None:
        limit = interval_s * STALE_INTERVALS
        since = f"no data since {at.astimezone(UTC):%H:%M:%S} UTC"
        limits = {"data_limit": f"{limit:.0f}", "data_since": since}
        if seconds > limit:
            said, looks = since, "nx-age nx-num nx-stale"
    return tag(
        "time",
        said,
        datetime=at.astimezone(UTC).isoformat(),
        title=both(at),
        class_=looks,
        data_age=f"{max(seconds, 0):.0f}",
        **limits,
    )


def lasted(seconds: float | None) -> str:
    """A duration: "under 0.1 s", "0.4 s", "12 s", "4 min 10 s"."""
    if seconds is None:
        return "–"
    if seconds < 0.1:
        return "under 0.1 s"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 100 else span(seconds)


def unbroken(sentence: str) -> str:
    """The sentence with its times held together, for large type."""
    return sentence.replace(" UTC", "\u00a0UTC")
