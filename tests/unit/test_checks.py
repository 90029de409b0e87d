"""Checks as such: found by name, given their parameters, run to an end whatever happens; and the pure parts of families."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from pydantic import Field
from sqlalchemy import URL

from checklists.actions import describe
from checklists.checks.log_lines import read_line
from checklists.checks.model import (
    REGISTRY,
    CheckContext,
    CheckParams,
    CheckResult,
    Verdict,
    check,
    failed,
    gathered,
    passed,
    unable,
)
from checklists.checks.process import plain
from checklists.checks.registry import find_check, list_checks, run_check
from checklists.grammar import Action
from checklists.indexes import Found, Wanted, lacking
from jobs.core.db import Database
from jobs.core.errors import NotFound, UsageError
from jobs.core.jobs import load_jobs
from jobs.core.permissions import Right
from jobs.core.settings import Settings
from tests.db.looking import FAILED, GATHERED, PASSED, UNABLE

SEED = "S" + "A" * 55


class Params(CheckParams):
    """Of the checks here."""

    seconds: float = Field(0, ge=0, le=5, description="how long it takes")


@pytest.fixture
def context(settings: Settings) -> CheckContext:
    now = datetime.now(UTC)
    nowhere = Database(URL.create("postgresql+psycopg", "nobody", host="127.0.0.1", port=9))
    return CheckContext(nowhere, settings, {}, now, now, ())


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, object]]:
    """Checks of this file, gone after the test."""
    list_checks()
    before = dict(REGISTRY)

    @check("own.slow", title="It is slow", params=Params)
    def slow(context: CheckContext, params: Params) -> CheckResult:
        time.sleep(params.seconds)
        return passed("It ended.")

    @check("own.broken", title="It breaks", params=Params)
    def broken(context: CheckContext, params: Params) -> CheckResult:
        raise ZeroDivisionError(SEED)

    @check("own.talkative", title="It talks", params=Params)
    def talkative(context: CheckContext, params: Params) -> CheckResult:
        long = "x" * 5000
        return gathered(
            f"The key is {SEED}.",
            seen=[f"https://me:pass-word-1@host/{SEED}", {"password": "hunter2hunter2", "long": long}],
            many=list(range(1000)),
        )

    for name in ("own.slow", "own.broken", "own.talkative"):
        monkeypatch.setitem(list_checks(), name, REGISTRY[name])  # type: ignore[arg-type]  # a dict behind the Mapping
    yield {}
    REGISTRY.clear()
    REGISTRY.update(before)


def test_a_slip_in_a_name_is_answered_with_what_was_meant() -> None:
    with pytest.raises(NotFound, match=r"did you mean database\.indexes"):
        find_check("database.indices")


def test_parameters_of_a_definition_are_texts_and_each_wrong_one_is_named() -> None:
    read = find_check("database.connection").read({"most_ms": "250"})
    assert read == type(read)(most_ms=250.0)
    with pytest.raises(UsageError, match=r"most_ms: input should be greater than 0; most: extra inputs"):
        find_check("database.connection").read({"most_ms": "-1", "most": "2"})


@pytest.mark.parametrize(
    ("name", "with_", "said"),
    [
        ("own.slow", {"seconds": "3"}, "“It is slow” did not end within 1 s."),
        ("own.broken", {}, "The check itself broke (ZeroDivisionError)."),
        ("own.nothing", {}, "There is no check 'own.nothing'"),
        ("own.slow", {"seconds": "many"}, "own.slow does not accept its parameters"),
    ],
)
@pytest.mark.usefixtures("own")
def test_whatever_happens_to_a_check_it_is_one_sentence_and_never_a_pass(
    context: CheckContext, name: str, with_: dict[str, object], said: str
) -> None:
    began = time.monotonic()
    found = run_check(name, with_, context, timeout_s=1)
    assert found.verdict is UNABLE
    assert said in found.summary
    assert found.mend
    assert SEED not in str(found)
    assert time.monotonic() - began < 2.5


@pytest.mark.usefixtures("own")
def test_what_a_check_returns_has_no_secret_and_an_end(context: CheckContext) -> None:
    found = run_check("own.talkative", {}, context)
    assert SEED not in str(found)
    assert "pass-word-1" not in str(found)
    assert "hunter2" not in str(found)
    assert len(str(found)) < 12_000


@pytest.mark.parametrize(
    ("verdicts", "worst"),
    [
        ((PASSED, PASSED), PASSED),
        ((PASSED, GATHERED), GATHERED),
        ((GATHERED, UNABLE), UNABLE),
        ((UNABLE, FAILED), FAILED),
    ],
)
def test_several_checks_are_as_good_as_the_worst_of_them(
    context: CheckContext, monkeypatch: pytest.MonkeyPatch, verdicts: tuple[Verdict, Verdict], worst: Verdict
) -> None:
    made = {
        PASSED: passed("Passed."),
        GATHERED: gathered("Gathered."),
        FAILED: failed("Failed.", "Mend it."),
        UNABLE: unable("Unable.", "Look again."),
    }
    answers = iter(verdicts)
    spec = find_check("database.connection")
    monkeypatch.setitem(
        list_checks(),  # type: ignore[arg-type]  # a dict behind the Mapping
        "database.connection",
        type(spec)(spec.name, spec.title, spec.params, lambda *_: made[next(answers)], 5),
    )
    found = run_check(
        "composite.all", {"checks": [{"use": "database.connection"}, {"use": "database.connection"}]}, context
    )
    assert (found.verdict, found.summary) == (worst, made[worst].summary)
    assert bool(found.mend) is (worst in (FAILED, UNABLE))


WANTED = Wanted("transactions", ("status", "created_at"), "idx")


def index(*columns: str, valid: bool = True, building: bool = False, whole: bool = True) -> Found:
    return Found("transactions", columns, "some_name", valid, building, whole)


@pytest.mark.parametrize(
    ("found", "lacks"),
    [
        (index("status", "created_at"), None),
        (index("status", "created_at", "id"), None),
        (index("created_at", "status"), ((), False)),
        (index("status"), ((), False)),
        (index("status", "created_at", whole=False), ((), False)),
        (index("status", "created_at", valid=False), (("some_name",), False)),
        (index("status", "created_at", valid=False, building=True), ((), True)),
    ],
)
def test_an_index_serves_by_its_columns_and_validity_whatever_its_name(
    found: Found, lacks: tuple[tuple[str, ...], bool] | None
) -> None:
    assert [(lack.broken, lack.building) for lack in lacking([WANTED], [found])] == ([lacks] if lacks else [])


@pytest.mark.parametrize(
    ("raw", "level", "year"),
    [
        (b'{"level": 50, "time": 1764000000000, "msg": "down"}', "error", 2025),
        (b'{"level": "warn", "timestamp": "2026-11-25T08:00:00Z", "message": "slow"}', "warning", 2026),
        (b'{"severity": "CRITICAL", "ts": 1764000000, "event": "x"}', "error", 2025),
        (b'{"level": "strange", "msg": "x"}', None, None),
        (b"[Nest] ERROR something", None, None),
    ],
)
def test_log_lines_are_read_in_the_dialects_of_other_programs(raw: bytes, level: str | None, year: int | None) -> None:
    line = read_line(raw)
    assert (line and line.level, line and line.at and line.at.year) == (level, year)


def test_terminal_codes_and_overwritten_lines_are_taken_out_of_what_a_program_says() -> None:
    assert plain("\x1b[31mred\x1b[0m\x07 10 %\r 20 %\r\ndone\x1b]0;title\x07\n") == " 20 %\ndone\n"


@pytest.mark.parametrize(
    ("action", "label", "right", "says"),
    [
        ({"flag": "enableReconciliation", "to": "false"}, "Switch enableReconciliation off", Right.SET_FLAGS, "stops"),
        ({"job": "create-indexes"}, "Run create-indexes", Right.RUN_JOBS, "without stopping anybody"),
        ({"job": "verify-ledger", "params": {"only": "balances"}}, "Run verify-ledger", Right.RUN_JOBS, "only = bal"),
        ({"pause": "all"}, "Pause all jobs", Right.PAUSE_JOBS, "what runs goes on"),
        ({"resume": "retry-failed"}, "Resume retry-failed", Right.PAUSE_JOBS, "on its schedule again"),
    ],
)
def test_an_action_says_beforehand_what_it_will_do(
    action: dict[str, object], label: str, right: Right, says: str
) -> None:
    described = describe(Action.model_validate(action), load_jobs(), {})
    assert (described.label, described.right) == (label, right)
    assert says in described.consequence
