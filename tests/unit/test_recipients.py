"""Whom a step means: on the right channels, each once, and the team where somebody cannot be told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.alerts.escalate import Target
from jobs.alerts.recipients import AddressBook, recipients
from jobs.alerts.rota_store import OnCall

TEAM = ("slack://", "mailto://x.org")
ADA, BOB = OnCall("primary", "Ada", "ada@x"), OnCall("secondary", "Bob", "bob@x")
BOOK = AddressBook(
    TEAM, lambda email: f"person {email}", (ADA, BOB), {"ada@x": "Ada", "bob@x": "Bob"}, {"devops": ["bob@x"]}
)


@pytest.mark.parametrize(
    ("to", "book", "channels", "instead"),
    [
        (Target("team"), BOOK, TEAM, ""),
        (Target("channel:slack://"), BOOK, ("slack://",), ""),
        (Target("channel:ntfy://"), BOOK, TEAM, "This is for the channel ntfy://, which is none any more."),
        (Target("on-call"), BOOK, ("person ada@x",), ""),
        (Target("on-call", 2), BOOK, ("person bob@x",), ""),
        (Target("on-call", 3), BOOK, ("person bob@x",), ""),
        (Target("on-call"), replace(BOOK, on_call=()), TEAM, "This is for whoever is on call, and nobody is."),
        (
            Target("on-call"), replace(BOOK, on_call=(OnCall("", "Tom", ""),)), TEAM, "This is for Tom, who is on call.",
        ),
        (Target("role:devops"), BOOK, ("person bob@x",), ""),
        (Target("role:devops"), replace(BOOK, channel_of=None), TEAM, "This is for Bob."),
        (Target("role:viewer"), BOOK, TEAM, "This is for the role viewer, which nobody has."),
        (Target("person:ada@x"), BOOK, ("person ada@x",), ""),
        (Target("person:cy@x"), BOOK, TEAM, "This is for cy@x, who has no open account."),
    ],
)  # fmt: skip
def test_who_is_told(to: Target, book: AddressBook, channels: tuple[str, ...], instead: str) -> None:
    found = recipients([to], book)
    assert found.channels == channels
    assert "".join(found.instead) == instead


@given(
    st.lists(st.sampled_from(["team", "on-call", "role:devops", "role:x", "person:ada@x", "channel:x", ""]), min_size=1)
)
def test_nothing_is_told_to_nobody_and_nobody_twice(names: list[str]) -> None:
    found = recipients([Target(name) for name in names], BOOK).channels
    assert found
    assert len(set(found)) == len(found)
