"""Where a figure is going: the straight line that fits its past best (least squares). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import StatisticsError, linear_regression

LEAST_SPAN = timedelta(hours=6)
"""Of less than this nobody says what it will be in a week."""
_DAY_S = 86_400.0
NEVER_D = 3_650.0
"""What is further away than so many days is never."""

Points = Sequence[tuple[datetime, float]]


def per_day(points: Points) -> float | None:
    """How much it grows a day, in its own unit; None where there is too little of a past."""
    if len(points) < 3 or points[-1][0] - points[0][0] < LEAST_SPAN:
        return None
    first = points[0][0]
    try:
        slope, _ = linear_regression([(at - first).total_seconds() for at, _ in points], [value for _, value in points])
    except StatisticsError:
        return None
    return slope * _DAY_S


def days_until_empty(points: Points) -> float | None:
    """Days until what is left of it is gone, from the last point on; None: not within ten years, or not known."""
    growth = per_day(points)
    if growth is None or growth >= 0:
        return None
    days = max(0.0, points[-1][1]) / -growth
    return days if days <= NEVER_D else None
