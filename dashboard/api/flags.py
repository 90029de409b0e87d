"""Feature flags over the API."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from dashboard.api.endpoint import Answer, Call, Endpoint, Given, Name, Reason
from jobs.core.errors import NotFound
from jobs.core.flags import MEANINGS, Flag, FlagState, list_flags, set_flag
from jobs.core.permissions import Right


class FlagPlace(Given):
    """Which flag."""

    name: Name


class FlagRequest(Given):
    """How a flag is to stand."""

    value: bool
    reason: Reason


class FlagAnswer(Answer):
    """A flag as it stands."""

    name: str
    value: bool
    means: str = Field(description="What is so while it is on.")
    changed_at: datetime
    changed_by: str
    reason: str | None


class FlagList(Answer):
    """Every flag."""

    flags: list[FlagAnswer]


def list_all(call: Call) -> FlagList:
    """Every flag, who set it and why."""
    return FlagList(flags=[_answer(state) for state in list_flags(call.conn)])


def switch(call: Call, place: FlagPlace, body: FlagRequest) -> FlagAnswer:
    """Switch a flag; running jobs obey within a second. One that stands so already stays as it is."""
    try:
        flag = Flag(place.name)
    except ValueError:
        raise NotFound(f"There is no flag {place.name}: the flags are {', '.join(Flag)}.") from None
    set_flag(call.conn, flag, body.value, actor=call.token.email, reason=body.reason, origin=call.origin)
    return next(_answer(state) for state in list_flags(call.conn) if state.flag is flag)


def _answer(state: FlagState) -> FlagAnswer:
    return FlagAnswer(
        name=state.flag.value,
        value=state.value,
        means=MEANINGS[state.flag],
        changed_at=state.changed_at,
        changed_by=state.changed_by,
        reason=state.reason,
    )


ENDPOINTS = (
    Endpoint("GET", "/flags", Right.VIEW, list_all),
    Endpoint("PUT", "/flags/{name}", Right.SET_FLAGS, switch),
)
