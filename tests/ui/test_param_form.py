"""A job's form is made from its params model, which stays the judge."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

import pytest
from pydantic import Field
from streamlit.testing.v1 import AppTest

from dashboard.components.param_form import fields_of
from jobs.core.jobs import Params


class Kind(StrEnum):
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"


class Everything(Params):
    limit: int | None = Field(None, ge=1, lt=100, description="at most so many")
    minutes: int = Field(5, gt=0, description="at least so old")
    share: float = Field(0.5, ge=0, le=1, description="which part")
    seed: int | None = Field(None, ge=0, lt=2**63, description="how chance begins")
    deep: bool = Field(False, description="look twice")
    kind: Kind = Field(Kind.DEPOSIT, description="which kind")
    only: UUID | None = Field(None, description="only this one")
    name: str = Field(description="what to call it")
    tags: list[str] = Field(default_factory=list, description="marks")


def test_each_type_has_its_field_with_its_bounds() -> None:
    found = {field.name: field for field in fields_of(Everything)}
    kinds = {name: field.kind for name, field in found.items()}
    assert kinds == {
        "limit": "integer", "minutes": "integer", "share": "number", "seed": "text", "deep": "boolean", "kind": "choice",
        "only": "text", "name": "text", "tags": "json",
    }  # fmt: skip
    assert (found["limit"].least, found["limit"].most, found["limit"].optional) == (1, 99, True)
    assert (found["minutes"].least, found["minutes"].default) == (1, 5)
    assert found["kind"].choices == ("deposit", "withdrawal")
    assert found["name"].required
    assert found["limit"].label == "Limit: at most so many"


def a_form() -> None:
    import streamlit as st  # noqa: PLC0415 - a script of its own

    from dashboard.components.param_form import draw_fields, read_fields  # noqa: PLC0415
    from tests.ui.test_param_form import Everything as Model  # noqa: PLC0415

    draw_fields(Model, key="f", given={})
    st.session_state["read"] = read_fields(Model, key="f")


@pytest.fixture
def form() -> AppTest:
    page = AppTest.from_function(a_form).run()
    assert not page.exception
    return page


def test_an_untouched_form_gives_the_defaults_and_leaves_out_what_must_be_said(form: AppTest) -> None:
    assert form.session_state["read"] == {
        "limit": None, "minutes": 5, "share": 0.5, "seed": None, "deep": False, "kind": "deposit",
        "only": None, "tags": [],
    }  # fmt: skip


def test_what_is_filled_in_is_what_the_model_gets(form: AppTest) -> None:
    form.number_input(key="f-limit").set_value(7)
    form.checkbox(key="f-deep").check()
    form.text_input(key="f-seed").set_value("9007199254740993")
    form.text_input(key="f-name").set_value("  a name ")
    form.text_area(key="f-tags").set_value('["a"]')
    form.run()
    read = form.session_state["read"]
    assert (read["limit"], read["deep"], read["name"], read["tags"]) == (7, True, "a name", ["a"])
    made = Everything.model_validate(read)
    assert (made.limit, made.seed) == (7, 2**53 + 1), "to the last digit, which a browser's number would lose"
