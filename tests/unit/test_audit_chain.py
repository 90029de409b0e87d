"""A walk along the audit chain finds whatever was changed, taken out, put in or moved, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.core.audit_chain import START, Anchor, Fault, Link, Record, link_hash, verify

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12)
MAYBE = st.none() | TEXT
RECORDS = st.builds(Record, st.integers(1, 10**9), TEXT, TEXT, TEXT, TEXT, TEXT, MAYBE, MAYBE, MAYBE, MAYBE)
NOON = "2026-11-25T12:00:00"


def chained(records: Sequence[Record], *, sealed_at: str = NOON) -> list[Link]:
    """A whole chain over these rows."""
    links: list[Link] = []
    for seq, record in enumerate(records, start=1):
        before = links[-1].hash if links else START
        bare = Link(seq, record.id, before, b"", sealed_at, record)
        links.append(replace(bare, hash=link_hash(before, bare)))
    return links


CHAINS = st.lists(RECORDS, min_size=2, max_size=6).map(chained)


def row(number: int, **values: object) -> Record:
    usual = Record(number, NOON, "ada@nexafx.com", "flag.set", "flag", "dryRun", None, '{"value": true}', "why", "cli")
    return replace(usual, **values)  # type: ignore[arg-type]


def broken(links: Sequence[Link], anchors: Sequence[Anchor] = ()) -> tuple[Fault, int] | None:
    found = verify(links, anchors).broken
    return None if found is None else (found.fault, found.seq)


@given(CHAINS)
def test_a_chain_that_nobody_touched_is_whole(links: list[Link]) -> None:
    verdict = verify(links, [Anchor(links[-1].seq, links[-1].hash, NOON, "anchor")])
    assert (verdict.broken, verdict.links, verdict.anchors) == (None, len(links), 1)
    assert verdict.head.hash == links[-1].hash


@given(CHAINS, st.data())
def test_any_change_of_any_value_is_found_at_its_row(links: list[Link], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(links) - 1))
    name = data.draw(st.sampled_from([field.name for field in fields(Record)] + ["sealed_at"]))
    link = links[place]
    assert link.record is not None
    if name == "sealed_at":
        changed = replace(link, sealed_at=link.sealed_at + "1")
    else:
        old = getattr(link.record, name)
        new = data.draw((st.integers(1, 10**9) if name == "id" else MAYBE).filter(lambda value: value != old))
        changed = replace(link, record=replace(link.record, **{name: new}))
    assert broken([*links[:place], changed, *links[place + 1 :]]) == (Fault.CHANGED, link.seq)


@given(CHAINS, st.data())
def test_a_row_that_is_rewritten_with_its_hash_is_found_at_the_next_link(
    links: list[Link], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(links) - 2))
    link = replace(links[place], record=replace(row(links[place].audit_id), reason="another"))
    forged = replace(link, hash=link_hash(link.prev_hash, link))
    assert broken([*links[:place], forged, *links[place + 1 :]]) == (Fault.UNLINKED, place + 2)


@given(CHAINS, st.data())
def test_a_link_that_is_taken_out_moved_or_put_in_is_found(links: list[Link], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(links) - 2))
    without = [*links[:place], *links[place + 1 :]]
    assert broken(without) == (Fault.MISSING, place + 1)
    swapped = [*links[:place], links[place + 1], links[place], *links[place + 2 :]]
    assert broken(swapped) == (Fault.MISSING, place + 1)
    first, second = links[place], links[place + 1]
    under_each_others_number = [replace(second, seq=first.seq), replace(first, seq=second.seq)]
    assert broken([*links[:place], *under_each_others_number, *links[place + 2 :]]) is not None
    again = [*links[: place + 1], links[place], *links[place + 1 :]]
    assert broken(again) == (Fault.MISSING, place + 2)


@given(CHAINS, st.data())
def test_a_chain_that_was_cut_off_or_rewritten_whole_does_not_meet_its_anchor(
    links: list[Link], data: st.DataObject
) -> None:
    head = links[-1]
    anchor = Anchor(head.seq, head.hash, NOON, "audit-anchor.jsonl")
    kept = data.draw(st.integers(0, len(links) - 1))
    assert broken(links[:kept]) is None
    assert broken(links[:kept], [anchor]) == (Fault.CUT, kept + 1)
    records = [link.record for link in links if link.record is not None]
    rewritten = chained([replace(records[0], actor=records[0].actor + "!"), *records[1:]])
    assert broken(rewritten) is None
    assert broken(rewritten, [anchor]) == (Fault.ANCHOR, head.seq)


def test_a_row_that_is_gone_is_named() -> None:
    links = chained([row(7), row(8)])
    found = verify([replace(links[0], record=None), links[1]]).broken
    assert found is not None
    assert (found.fault, found.seq, found.audit_id) == (Fault.GONE, 1, 7)
    assert "row 7 of the audit trail" in found.sentence


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (row(1, reason=None), row(1, reason="")),
        (row(1, actor="a", action="bc"), row(1, actor="ab", action="c")),
        (row(1, reason="-,", origin=None), row(1, reason=None, origin="-,")),
        (row(1, reason="é"), row(1, reason="e\u0301")),
    ],
)
def test_rows_that_look_alike_hash_differently(one: Record, other: Record) -> None:
    assert chained([one])[0].hash != chained([other])[0].hash


def test_of_a_filtered_export_each_row_proves_itself_and_neighbours_their_order() -> None:
    links = chained([row(number) for number in range(1, 6)])
    some = [links[0], links[2], links[3]]
    assert verify(some, gaps=True).whole
    assert not verify(some).whole
    assert not verify([links[0], links[2], replace(links[3], prev_hash=START)], gaps=True).whole
    assert not verify([links[2], links[0]], gaps=True).whole


def test_what_an_export_left_out_is_counted_and_its_place_is_still_proved() -> None:
    links = chained([row(1), row(2, reason="key=abcd1234"), row(3)])
    hidden = replace(links[1], record=row(2, reason="key=[secret]"), redacted=("reason",))
    verdict = verify([links[0], hidden, links[2]])
    assert (verdict.whole, verdict.redacted) == (True, 1)
    assert not verify([links[0], replace(hidden, hash=START), links[2]]).whole


def test_a_time_from_long_before_the_last_prompt_seal_is_counted_and_no_backlog_is() -> None:
    def sealed(number: int, at: str, sealed_at: str) -> Link:
        return Link(number, number, START, START, sealed_at, row(number, at=at), redacted=("reason",))

    backlog = [sealed(1, "2025-01-01T00:00:00", NOON), sealed(2, "2026-11-25T11:59:00", NOON)]
    false_times = [
        sealed(3, "2026-11-25T10:00:00", "2026-11-25T12:00:05"),
        sealed(4, "-infinity", "2026-11-25T12:00:05"),
        sealed(5, "2026-11-25T12:00:04.5", "2026-11-25T12:00:05"),
    ]
    links = [replace(link, prev_hash=START) for link in [*backlog, *false_times]]
    verdict = verify(links)
    assert (verdict.whole, verdict.late, verdict.first_late) == (True, 2, 3)
    assert verify(links[:2]).late == 0
