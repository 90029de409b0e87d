"""An instant written out where there is no room for a tooltip: in UTC, and in the reader's zone when that differs."""

from __future__ import annotations

import functools
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from dashboard.components.markup import Html, join, tag
from dashboard.components.times import both, clocks, local_zone, now


def instant(at: datetime, *, seconds: bool = True) -> Html:
    """ "22:42:00 UTC, 23:42 Berlin", with the day when it is not today's."""
    return _instant(at, local_zone(), now().date(), seconds)


def written(at: datetime, *, seconds: bool = True) -> Html:
    """The same as words alone."""
    return _written(at, local_zone(), now().date(), seconds)


@functools.lru_cache(maxsize=20_000)  # a list that somebody signs has a hundred, the same at every look
def _instant(at: datetime, zone: ZoneInfo, today: date, seconds: bool) -> Html:
    words, utc = _written(at, zone, today, seconds), at.astimezone(UTC)
    return tag("time", words, datetime=utc.isoformat(), title=both(at), class_="nx-instant")


def _written(at: datetime, zone: ZoneInfo, today: date, seconds: bool) -> Html:
    said, local = clocks(at, zone, today, seconds=seconds)
    return join(tag("span", said), join(", ", tag("span", local, class_="nx-quiet")) if local else "")
