"""How a run ends, and the sentence that says so: pure.

A run ends by its function, or because it was told to, or because its process died. `again` says whether another
attempt may end better; whether there is one is for the schedule's policy.
"""

from __future__ import annotations

import signal
import traceback
from dataclasses import dataclass

from pydantic import ValidationError

from jobs.core.errors import NexaError, TransientError
from jobs.core.logs import redact

_TRACE = 20_000


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a run is to stop, the state that it ends in if it does, and whether it deserves another attempt."""

    state: str
    sentence: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended."""

    state: str
    error_class: str | None = None
    error: str | None = None
    trace: str | None = None
    again: bool = False


def stopped(stop: Stop) -> End:
    """It was told to stop, and did."""
    return End(stop.state, error=stop.sentence, again=stop.again)


def killed(stop: Stop, grace_s: float) -> End:
    """It was told to stop, and did not."""
    return End(
        stop.state,
        error=f"{stop.sentence} It did not stop within {grace_s:g} s of being told, and its process was killed.",
        again=stop.again,
    )


def failed(error: BaseException) -> End:
    """Its function raised; what is permanent is not tried again."""
    if isinstance(error, ValidationError):
        message = f"{error.error_count()} values are not as expected in {error.title}"
    elif isinstance(cause := getattr(error, "orig", None), Exception):
        # The database's own line: what wraps it repeats the whole statement, and that stands in the trace.
        message = str(cause).strip().split("\n", 1)[0]
    else:
        message = str(error).strip() or "no message"
    return End(
        "failed",
        error_class=type(error).__name__,
        error=printable(redact(message)),
        trace=printable(redact("".join(traceback.format_exception(error))))[-_TRACE:],
        again=isinstance(error, TransientError) or not isinstance(error, NexaError),
    )


def died(code: int | None) -> End:
    """Its process ended in the middle: by a signal (`code` below zero), by itself, or nobody knows how (None)."""
    if code is None:
        how = "Its process ended, and nobody saw how."
    elif code >= 0:
        how = f"Its process ended by itself in the middle of the run, with exit code {code}."
    else:
        how = f"Its process was ended by {signal_name(-code)}: {_MEANT.get(-code, 'it crashed')}."
    return End("failed", error_class="ProcessDied", error=how, again=True)


def too_large(used_mb: float, limit_mb: int) -> End:
    """It took more memory than a run may."""
    return End(
        "failed",
        error_class="MemoryLimit",
        error=f"Its process took {used_mb:,.0f} MB of memory, more than the {limit_mb:,} MB of NEXAOPS_RUN_MEMORY_MB, "
        "and was killed.",
        again=True,
    )


def signal_name(number: int) -> str:
    """SIGKILL for 9; numbers without a name stay numbers."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def printable(value: str) -> str:
    """The text without what PostgreSQL cannot hold: the character zero, and halves of characters."""
    return value.replace("\x00", "").encode("utf-8", "replace").decode()


_MEANT: dict[int, str] = {
    signal.SIGKILL: "killed from outside, mostly for lack of memory",
    signal.SIGTERM: "somebody asked it to end",
}
