"""Who is on call, in words and as a table: now, at the next hand-over, and in the weeks to come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from dashboard.components.instants import instant
from dashboard.components.layout import table
from dashboard.components.markup import Html, join, show, tag
from dashboard.components.states import chip, shape
from dashboard.components.times import age, both
from dashboard.queries_oncall import Plan
from jobs.alerts.notices import Notice
from jobs.alerts.rota import Override, Rota, Turn
from jobs.alerts.rota_store import OnCall
from jobs.probes.attention import span

_NEWEST = {"waiting": ("running", "on its way"), "delivered": ("ok", "delivered"), "dead": ("critical", "not taken")}


def headline(found: Sequence[OnCall], plan: Plan) -> tuple[str, str]:
    """Who is called now, and who comes next."""
    if not found:
        return "Nobody is on call", "Enter who takes turns, and who stands in when somebody cannot."
    first = found[0]
    if first.fault is not None:
        return "Nobody can be called", f"{first.fault}."
    others = ", ".join(f"{one.name} as {one.rota}" for one in found[1:])
    then = f"; after that {others} is called" if others else ""
    if first.until is None:
        return f"{first.name} is called", "There is no rota: this is the emergency contact."
    # Another dashboard may have taken the rota away since it was read who is called.
    ahead = plan.rotas[0][1] if plan.rotas else ()
    following = next((turn for turn in ahead if turn.starts_at >= first.until), None)
    lead = f"Until {_day(first.until)}"
    if following is not None and following.person != first.email:
        lead += f", then {plan.name(following.person)}"
    return f"{first.name} is on call", f"{lead}{then}."


def rota_line(rota: Rota, turns: Sequence[Turn], plan: Plan) -> Html:
    """One rota: who has it now, for how long, and how turns are taken."""
    turn = turns[0]
    in_order = ", ".join(plan.name(email) for email in rota.people)
    days = "day" if rota.turn_days == 1 else "week" if rota.turn_days == 7 else f"{rota.turn_days} days"
    standing = (
        ""
        if turn.override is None
        else tag("div", f"stands in: {turn.override.reason}", class_="nx-note")
    )  # fmt: skip
    return tag(
        "div",
        tag("div", tag("b", rota.name), tag("div", f"called {ordinal(rota.place)}", class_="nx-quiet")),
        tag("div", _who(turn.person, plan), standing,
            tag("div", "until ", instant(turn.ends_at, seconds=False), class_="nx-note")),
        tag("div", f"{in_order}: a {days} each" if len(rota.people) > 1 else f"{in_order} alone",
            tag("div", f"handed over at {rota.handover:%H:%M}, {rota.zone}", class_="nx-note")),
        class_="nx-call",
    )  # fmt: skip


def turns_table(rota: Rota, turns: Sequence[Turn], plan: Plan) -> None:
    """The turns of the next weeks."""
    table(
        ("From", "Until", "On call", "Why"),
        [
            (
                tag("time", _day(turn.starts_at), title=both(turn.starts_at), class_="nx-num"),
                tag("time", _day(turn.ends_at), title=both(turn.ends_at), class_="nx-num"),
                _who(turn.person, plan),
                f"stands in: {turn.override.reason}" if turn.override is not None else tag("span", "in turn", class_="nx-quiet"),
            )
            for turn in turns
        ],
        label=f"Turns of the rota {rota.name}",
    )  # fmt: skip


def override_line(override: Override, plan: Plan) -> Html:
    """Who stands in, when, and why."""
    return tag(
        "div",
        tag("div", tag("b", plan.name(override.person)), tag("div", f"stands in on {override.rota}", class_="nx-quiet")),
        tag("div", f"{_day(override.starts_at)} to {_day(override.ends_at)}",
            tag("div", span((override.ends_at - override.starts_at).total_seconds()), class_="nx-note")),
        tag("div", override.reason, tag("div", f"entered by {override.created_by}", class_="nx-note")),
        class_="nx-call",
    )  # fmt: skip


def say_turns(turns: Sequence[Turn], names: dict[str, str]) -> None:
    """What a rota in a form would mean: its first turns from now on."""
    show(
        tag("p", "From now on:", class_="nx-quiet"),
        tag("ul", *(tag("li", f"until {_day(turn.ends_at)}: {names.get(turn.person, turn.person)}") for turn in turns)),
    )


def _who(email: str, plan: Plan) -> Html:
    name, is_open = plan.people.get(email, (email, False))
    if is_open:
        return tag("span", name, title=email)
    return join(shape("critical"), tag("span", f" {name}: the account is closed, they cannot be on call"))


def _day(at: datetime) -> str:
    return f"{at:%a %-d %b %H:%M} UTC"


def ordinal(place: int) -> str:
    """As which of all a rota is called: "first"."""
    return {1: "first", 2: "second", 3: "third"}.get(place, f"as number {place}")


def channel_line(name: str, newest: Notice | None) -> Html:
    """A channel of the team or of the reader, by its name alone, and what became of the newest notice on it."""
    state, word = _NEWEST[newest.state] if newest is not None else ("none", "nothing was sent yet")
    about = "" if newest is None else tag("div", newest.title, " · ", age(newest.created_at), class_="nx-note")
    why = "" if newest is None or not newest.error else tag("div", newest.error, class_="nx-note")
    return tag("div", tag("b", name), tag("div", chip(state, word), why), tag("div", about), class_="nx-call")
