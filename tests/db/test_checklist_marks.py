"""Marks are made by place: what is read must stand in the order of their fields."""

from __future__ import annotations

from dataclasses import fields

from checklists.lines import Mark
from checklists.reads import _MARKS
from jobs.core.db import Database


def test_what_is_read_of_a_mark_are_its_fields_in_their_order(db: Database) -> None:
    names = [field.name for field in fields(Mark)]
    with db.read() as conn:
        assert list(conn.execute(_MARKS, {"ids": []}).keys())[-len(names) :] == names
