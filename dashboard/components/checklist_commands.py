"""What a person does to a checklist: one command, and a refusal that stays where it was pressed.

A tick must never be undone by a browser that is behind. Streamlit sends the values of all of a page's widgets with every
click, so a box whose value the server had changed could come back with its old one and look like somebody's click; and
a box that was just taken away, sent once more, counts as changed. Therefore a box belongs to the version of the line
that it was drawn with: when somebody else changes the line, a new box takes its place, and what the old one still sends
means nothing. After a person's own click the box stays, because its value is theirs already, and with it the keyboard's
place.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TypeVar

import streamlit as st
from sqlalchemy import Connection

from checklists.lines import State, TrackedItem
from checklists.store import tick, untick
from dashboard import actions
from dashboard.access import origin
from dashboard.components.markup import Html, tag
from jobs.core.people import Person
from jobs.core.permissions import Right

T = TypeVar("T")
_REFUSED = "nx-cl-refused"
_BOXES = "nx-cl-boxes"
_CHANGED = "nx-cl-changed"
_LOCK = "nx-cl-lock"
_WHY = "nx-cl-why"
_lock_guard = threading.Lock()


@dataclass(frozen=True, slots=True)
class Box:
    """A checkbox as one browser has it.

    `born` is the line's version when it was made and `ticked` what it began as; `version` and `shown` are the line's
    version and state that it stands for now. `turn` counts the boxes that had to be replaced within one version.
    """

    born: int
    ticked: bool
    version: int
    shown: bool
    turn: int = 0

    def key(self, place: str) -> str:
        """Its key as a widget."""
        return f"nx-tick-{place}-{self.born}-{self.turn}"


def one_at_a_time() -> AbstractContextManager[object]:
    """Held by a callback from its look at what the browser sent until its command is done.

    Two quick presses run in two threads of one session: the second must find what the first has done.
    """
    with _lock_guard:
        if _LOCK not in st.session_state:
            st.session_state[_LOCK] = threading.Lock()
        lock: threading.Lock = st.session_state[_LOCK]
    return lock


def attempt(place: str, command: Callable[[Connection, Person], T], *, right: Right = Right.TICK) -> T | None:
    """For `on_change` and `on_click`: runs the command in one transaction by a person who may.

    None if it was refused: the sentence then stands at `place` until the next attempt, see `refusal`.
    """

    def refused(sentence: str) -> None:
        refuse(place, sentence)

    st.session_state.pop(_REFUSED, None)
    st.session_state[_CHANGED] = True
    return actions.attempt(right, command, refused)


def refuse(place: str, sentence: str) -> None:
    """Says at this place why something was refused, until the next attempt."""
    st.session_state[_REFUSED] = (place, sentence)


def just_tried() -> bool:
    """Whether this run of the page follows an attempt; true once."""
    return bool(st.session_state.pop(_CHANGED, False))


def refusal(place: str) -> Html:
    """Why the last attempt at this place was refused; nothing if it was not."""
    where, sentence = st.session_state.get(_REFUSED, ("", ""))
    return tag("p", sentence, class_="nx-cl-refused", role="alert") if where == place else Html("")


def place_of(run_id: int, item_id: str | None = None) -> str:
    """Where a refusal stands: at a line, or at the run."""
    return f"{run_id}/{item_id or ''}"


def asked_why(place: str, version: int) -> str | None:
    """The sentence that asks why this line is ticked, if its box was clicked and nobody has changed it since."""
    where, seen, sentence = st.session_state.get(_WHY, ("", 0, ""))
    return str(sentence) if (where, seen) == (place, version) else None


def stop_asking() -> None:
    """The line was ticked with its reason, or left open."""
    st.session_state.pop(_WHY, None)


def tick_box(run_id: int, item: TrackedItem, *, disabled: bool, asks: str | None) -> None:
    """The box of a line; its name for a screen reader is the line's label, the text itself is drawn beside it.

    `asks` is why a tick takes a reason: then a click asks for it in place, see `asked_why`.
    """
    done = item.mark.state is State.DONE
    place = place_of(run_id, item.id)
    boxes: dict[str, Box] = st.session_state.setdefault(_BOXES, {})
    box = boxes.get(place)
    # Streamlit drops the value of a box that was out of sight, so one that comes back begins anew.
    if box is None or box.version != item.mark.version or box.key(place) not in st.session_state:
        box = _new_box(item, box.turn if box is not None else 0)
        boxes[place] = box
    sent = st.checkbox(
        item.label, value=box.ticked, key=box.key(place), disabled=disabled, label_visibility="collapsed",
        on_change=_toggled, args=(run_id, item.id, box.key(place), asks),
    )  # fmt: skip
    if sent is not done:
        # A browser that came back after the server had gone, with a click that nobody took.
        boxes[place] = _new_box(item, box.turn + 1)
        st.rerun()


def _new_box(item: TrackedItem, turn: int) -> Box:
    done = item.mark.state is State.DONE
    return Box(born=item.mark.version, ticked=done, version=item.mark.version, shown=done, turn=turn)


def _toggled(run_id: int, item_id: str, key: str, asks: str | None) -> None:
    place = place_of(run_id, item_id)
    with one_at_a_time():
        box: Box = st.session_state[_BOXES][place]
        wanted = bool(st.session_state.get(key))
        if key != box.key(place) or wanted is box.shown:
            return  # a box that was replaced meanwhile, or nothing new
        if wanted and asks is not None:
            st.session_state.pop(_REFUSED, None)
            st.session_state[_WHY] = (place, box.version, asks)
            st.session_state[_BOXES][place] = replace(box, turn=box.turn + 1, version=0)
            return
        change = tick if wanted else untick
        version = attempt(
            place, lambda conn, person: change(conn, run_id, item_id, box.version, person, origin=origin())
        )
        # A refused click leaves the browser's box in a state that the line does not have: another takes its place.
        st.session_state[_BOXES][place] = (
            replace(box, turn=box.turn + 1, version=0)
            if version is None
            else replace(box, version=version, shown=wanted)
        )
