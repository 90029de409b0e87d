"""What a person ordered about cases, carried out case by case in front of them.

A dialog's button leaves an order; the page then asks Horizon and decides, a few cases at a time under a bar that says
how far it is, and tells what became of each. The order keeps what is still to be done: a click somewhere else interrupts
the page, and its next run goes on where this one stopped. Whoever leaves the page for longer has ended it: nothing is
decided later behind somebody's back. What was decided is decided, each case in a transaction of its own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import streamlit as st
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from dashboard import queries
from dashboard.access import origin
from dashboard.actions import attempt
from dashboard.components.layout import section, table
from dashboard.components.markup import link, plain, url
from dashboard.components.money_words import brief
from dashboard.desk import desk
from jobs.core.errors import NexaError
from jobs.core.logs import get_logger
from jobs.core.people import Person
from jobs.reconcile.deciding import Answered, Ruling, Seen, ask_again, conclude
from jobs.reconcile.verdicts import RIGHTS

log = get_logger(__name__)
_ORDER = "nx-case-order"
_AT_ONCE = 10
"""Cases in one round of questions: little for one look-up each, and the answer is fresh when it is used."""
_LEFT_S = 60.0
"""An order that nobody worked on for so long is not taken up again: its round of questions takes half of that at most."""


@dataclass(slots=True)
class _Outcome:
    case_id: int
    done: bool
    sentence: str


@dataclass(slots=True)
class _Order:
    ruling: Ruling
    todo: list[Seen]
    count: int
    touched: float = field(default_factory=time.monotonic)
    """When it was last worked on."""
    outcomes: list[_Outcome] = field(default_factory=list)


def give(ruling: Ruling, cases: Sequence[Seen]) -> str:
    """Leaves the order for the page's next run; what to say meanwhile."""
    st.session_state[_ORDER] = _Order(ruling, list(cases), len(cases))
    return "What becomes of it stands on top of the page."


def carry_out() -> None:
    """Does what is ordered and not done yet, and tells what became of it until it is put away."""
    order: _Order | None = st.session_state.get(_ORDER)
    if order is None:
        return
    if order.todo and time.monotonic() - order.touched > _LEFT_S:
        left = "It was not decided: the page was left before its turn came."
        order.outcomes += [_Outcome(one.case_id, False, left) for one in order.todo]
        order.todo.clear()
    if order.todo:
        bar = st.progress(0.0, text=_how_far(order))
        while order.todo:
            for one, answer in _ask(order):
                _decide(order, one, answer)
            order.touched = time.monotonic()
            bar.progress(len(order.outcomes) / order.count, text=_how_far(order))
        bar.empty()
        queries.forget()
    _report(order)


def _how_far(order: _Order) -> str:
    cases = "the case" if order.count == 1 else f"{order.count:,} cases"
    return f"Asking Horizon about {cases} and deciding: {len(order.outcomes):,} of {order.count:,} done"


def _ask(order: _Order) -> list[tuple[Seen, Answered | str]]:
    """The next few cases with the answers about them, or why there are none."""
    few = order.todo[:_AT_ONCE]
    try:
        answers = ask_again(desk().db, desk().settings, few, order.ruling)
    except NexaError as error:
        return [(one, str(error)) for one in few]
    except SQLAlchemyError as error:
        log.error("cases could not be asked about", exc_info=error)
        return [(one, "The database does not answer: nothing was changed, try again.") for one in few]
    return [
        (one, answer if isinstance(answer, Answered) else answer.sentence)
        for one, answer in zip(few, answers, strict=True)
    ]


def _decide(order: _Order, one: Seen, answer: Answered | str) -> None:
    def refused(sentence: str) -> None:
        order.outcomes.append(_Outcome(one.case_id, False, sentence))

    def command(conn: Connection, by: Person) -> str:
        if isinstance(answer, str):
            raise NexaError(answer)
        return conclude(conn, desk().settings, by, answer, origin=origin())

    order.todo.remove(one)
    sentence = attempt(RIGHTS[order.ruling.choice], command, refused)
    if sentence is not None:
        order.outcomes.append(_Outcome(one.case_id, True, sentence))


def _report(order: _Order) -> None:
    done = [one for one in order.outcomes if one.done]
    refused = [one for one in order.outcomes if not one.done]
    if order.count == 1:
        (only,) = order.outcomes
        tell, icon = (st.success, ":material/check_circle:") if only.done else (st.error, ":material/error:")
        tell(plain(brief(only.sentence, 600)), icon=icon)
    else:
        said = f"{len(done):,} of {order.count:,} cases are decided" + (
            f", {len(refused):,} refused." if refused else "."
        )
        (st.warning if refused else st.success)(said, icon=":material/gavel:")
        if refused:
            section("Refused", "they stay as they are")
            _listed(refused, "Why", "Refused cases")
        if done:
            section("Decided", "each in a transaction of its own")
            _listed(done, "What became of it", "Decided cases")
    st.button("Put this away", key="nx-case-report", type="tertiary", on_click=_put_away)


def _listed(outcomes: Sequence[_Outcome], said: str, label: str) -> None:
    table(
        ("Case", said),
        [
            (
                link(f"Case {one.case_id}", url("cases", case=one.case_id), class_="nx-link nx-inline"),
                brief(one.sentence, 600),
            )
            for one in outcomes
        ],
        label=label,
    )


def _put_away() -> None:
    st.session_state.pop(_ORDER, None)
