"""What a schedule would do, before it is saved: in words, its next fires, how often a day, and what may surprise.

Pure. The warnings are those of a person who has been woken by each: a clock that is put forward or back, runs longer
than the time between them, starts that are spread wider than that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, pairwise, takewhile

from jobs.schedule.model import Schedule, WallTrigger, fires, trigger_of
from jobs.schedule.wall import Change, Walls, changes, zone_of
from jobs.schedule.words import in_words, listed

FIRES = 5
_AHEAD = timedelta(days=31)
_MOST = 1_000
_YEAR = timedelta(days=366)
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Preview:
    """A schedule as a person judges it; `fires` in UTC, as if nobody had paused it or switched it off."""

    words: str
    fires: tuple[datetime, ...]
    how_often: str
    warnings: tuple[str, ...]


def preview(schedule: Schedule, now: datetime) -> Preview:
    """Looks ahead from `now`: 31 days for how often, a year for the clock."""
    ahead = list(islice(takewhile(lambda due: due <= now + _AHEAD, fires(schedule, now)), _MOST))
    coming = ahead[:FIRES] if len(ahead) >= FIRES else list(islice(fires(schedule, now), FIRES))
    return Preview(
        words=in_words(schedule),
        fires=tuple(coming),
        how_often=_how_often(schedule, ahead, now),
        warnings=(*_crowded(schedule, ahead or coming), *(_clock(schedule, now) if coming else ())),
    )


def _how_often(schedule: Schedule, ahead: Sequence[datetime], now: datetime) -> str:
    """By the days of its own zone; of those that are seen whole, the fullest counts."""
    if not ahead:
        return f"It does not run within the next {_AHEAD.days} days."
    clock = zone_of(schedule.zone)
    full = len(ahead) == _MOST
    a_day = Counter(due.astimezone(clock).date() for due in ahead)
    first, last = now.astimezone(clock).date(), (ahead[-1] if full else now + _AHEAD).astimezone(clock).date()
    whole = {count for day, count in a_day.items() if first < day < last}
    if full and not whole:
        step = (ahead[-1] - ahead[0]) / (len(ahead) - 1)
        return f"That is {timedelta(days=1) // step:,} times a day."
    counts = whole or set(a_day.values())
    most = max(counts)
    if most == 1:
        days = len(a_day)
        every = days >= _AHEAD.days
        return "That is once a day." if every else f"That is on {days} of the next {_AHEAD.days} days."
    return f"That is {'up to ' if len(counts) > 1 else ''}{most:,} times a day."


def _crowded(schedule: Schedule, coming: Sequence[datetime]) -> list[str]:
    least = min((int((later - due).total_seconds()) for due, later in pairwise(coming)), default=None)
    found = []
    if least is not None and schedule.overlap == "skip" and schedule.timeout_s > least:
        found.append(
            f"A run may take {schedule.timeout_s:,} s, but slots are only {least:,} s apart:"
            " while one goes on, the next slots are skipped."
        )
    if least is not None and schedule.jitter_s >= least:
        found.append(
            f"Starts are spread over {schedule.jitter_s:,} s, but slots are only {least:,} s apart:"
            " a run may start after the next slot is due."
        )
    return found


def _clock(schedule: Schedule, now: datetime) -> list[str]:
    trigger = trigger_of(schedule.kind, schedule.expression, schedule.zone, schedule.anchor)
    if not isinstance(trigger, WallTrigger):
        return []
    coming = changes(schedule.zone, now, now + _YEAR)
    return [said for change in coming if (said := _at_change(trigger.walls, schedule.zone, change)) is not None]


def _at_change(walls: Walls, zone: str, change: Change) -> str | None:
    """What happens when the clock is changed; None where nobody would notice.

    What runs in the same way before, within and after the skipped or repeated stretch of the wall goes on evenly.
    """
    before, within, after = (_times_from(walls, change.wall + n * change.length, change.length) for n in (-1, 0, 1))
    if not within or before == within == after:
        return None
    times = [f"{change.wall + offset:%H:%M}" for offset in within]
    many = len(times) > 1
    named = listed(times) if len(times) <= _NAMED else f"{', '.join(times[:_NAMED])} and {len(times) - _NAMED} more"
    begin, end = f"{change.wall:%H:%M}", f"{change.wall + change.length:%H:%M}"
    day = f"On {change.wall:%A, %-d %B %Y}, the clock of {zone}"
    if not change.forward:
        comes = "come twice, and each runs" if many else "comes twice, and runs"
        return f"{day} is put back from {end} to {begin}: {named} {comes} twice."
    length = _length(change.length)
    late = [offset for offset in within if offset not in after]
    lost = f"{day} is put forward from {begin} to {end}: {named} {'do' if many else 'does'} not exist"
    if not late:
        return f"{lost}, and the runs after it stand for {'them' if many else 'it'}."
    return f"{lost}, and {'run' if many else 'runs'} {length} later."


def _times_from(walls: Walls, begin: datetime, length: timedelta) -> tuple[timedelta, ...]:
    return tuple(wall - begin for wall in takewhile(lambda wall: wall < begin + length, walls(begin)))


def _length(length: timedelta) -> str:
    minutes = int(length.total_seconds()) // 60
    return "an hour" if minutes == 60 else f"{minutes} minutes"
