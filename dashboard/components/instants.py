"""An instant written out where there is no room for a tooltip: in UTC, and in the reader's zone when that differs."""

from __future__ import annotations

from datetime import UTC, datetime

from dashboard.components.markup import Html, join, tag
from dashboard.components.times import both, city, local_zone, now


def instant(at: datetime, *, seconds: bool = True) -> Html:
    """ "22:42:00 UTC, 23:42 Berlin", with the day when it is not today's."""
    utc = at.astimezone(UTC)
    return tag("time", written(at, seconds=seconds), datetime=utc.isoformat(), title=both(at), class_="nx-instant")


def written(at: datetime, *, seconds: bool = True) -> Html:
    """The same as words alone."""
    zone = local_zone()
    utc, here = at.astimezone(UTC), at.astimezone(zone)
    shape = "%H:%M:%S" if seconds else "%H:%M"
    day = "" if utc.date() == now().date() else f"{utc:%-d %b} "
    local = ""
    if here.utcoffset() != utc.utcoffset():
        other = "" if here.date() == utc.date() else f"{here:%-d %b} "
        local = join(", ", tag("span", f"{other}{here:%H:%M} {city(zone)}", class_="nx-quiet"))
    return join(tag("span", f"{day}{utc:{shape}} UTC"), local)
