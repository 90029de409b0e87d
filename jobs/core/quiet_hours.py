"""Hours in which nobody is told of what can wait until they end: how they are written, and whether it is so now. Pure.

They stand on a wall: where the clock is put back an hour that is quiet is quiet twice, and one that is skipped is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time
from typing import Literal
from zoneinfo import ZoneInfo

_WRITTEN = re.compile(r"(warn|critical)\s*=\s*([0-2]?\d:[0-5]\d)\s*-\s*([0-2]?\d:[0-5]\d)")
ACCEPTED = "accepted are hours such as warn=22:00-07:00, for warn or critical, separated by commas"


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From a time up to before another, over midnight where the second is the earlier one."""

    severity: Literal["warn", "critical"]
    begin: time
    end: time

    def cover(self, severity: str, at: datetime, zone: str) -> bool:
        """Whether what is of this severity waits at this instant."""
        wall = at.astimezone(ZoneInfo(zone)).time()
        inside = self.begin <= wall < self.end if self.begin < self.end else not self.end <= wall < self.begin
        return inside and severity == self.severity


def read_quiet_hours(written: str) -> tuple[QuietHours, ...]:
    """What a person wrote; ValueError with what is accepted."""
    found = []
    for part in filter(None, (part.strip() for part in written.split(","))):
        match = _WRITTEN.fullmatch(part)
        if match is None:
            raise ValueError(ACCEPTED)
        try:
            begin, end = (time.fromisoformat(f"{given:0>5}") for given in match.groups()[1:])
        except ValueError:
            raise ValueError(ACCEPTED) from None
        if begin == end:
            raise ValueError("hours that end when they begin would be none, or all: say the other end")
        found.append(QuietHours("warn" if match[1] == "warn" else "critical", begin, end))
    return tuple(found)
