"""Events out: the signature that a receiver checks, and what follows from its answer."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.reconcile.outbox import GIVE_UP_AFTER, MOST_WAIT_S, Event, Fate, Reply, document, headers, judge, wait_s

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVENT = Event(1, UUID(int=7), "transaction.succeeded", UUID(int=9), {"amount": "10.5"}, NOW, 1, NOW)


def readme_receiver() -> Callable[[dict[str, str], bytes, str], bool]:
    """The example of the README, as a receiver would copy it."""
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(code[1], names)  # noqa: S102 - it is the text under test
    found: Callable[[dict[str, str], bytes, str], bool] = names["is_genuine"]
    return found


def test_the_signature_is_the_one_of_the_standard_webhooks_specification() -> None:
    # The specification's own example.
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    known = replace(EVENT, event_id="msg_p5jXN8AQM9LWM0D4loKWxJek")  # type: ignore[arg-type]
    signed = headers(known, b'{"test": 2432232314}', key, datetime.fromtimestamp(1614265330, UTC))
    assert signed == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_the_receiver_of_the_readme_takes_what_is_genuine_and_nothing_else() -> None:
    is_genuine = readme_receiver()
    secret, body = "whsec_" + base64.b64encode(b"k" * 32).decode(), b'{"type":"x"}'
    now = datetime.now(UTC)
    sent = headers(EVENT, body, b"k" * 32, now)
    assert is_genuine(sent, body, secret)
    assert is_genuine(sent | {"webhook-signature": f"v1,old {sent['webhook-signature']}"}, body, secret)
    assert not is_genuine(sent, body + b" ", secret)
    assert not is_genuine(sent | {"webhook-id": "other"}, body, secret)
    assert not is_genuine(sent, body, "whsec_" + base64.b64encode(b"o" * 32).decode())
    assert not is_genuine(headers(EVENT, body, b"k" * 32, now - timedelta(minutes=6)), body, secret)


def test_the_body_is_type_timestamp_and_data() -> None:
    assert document(EVENT) == {
        "type": "transaction.succeeded",
        "timestamp": "2026-03-01T12:00:00+00:00",
        "data": {"amount": "10.5"},
    }


@pytest.mark.parametrize(
    ("status", "fate"),
    [
        (200, Fate.DELIVERED),
        (204, Fate.DELIVERED),
        (299, Fate.DELIVERED),
        (301, Fate.WAITS),
        (307, Fate.WAITS),
        (400, Fate.WAITS),
        (404, Fate.WAITS),
        (410, Fate.UNWANTED),
        (429, Fate.WAITS),
        (500, Fate.WAITS),
        (None, Fate.WAITS),
    ],
)
def test_only_a_2xx_is_a_delivery(status: int | None, fate: Fate) -> None:
    result = judge(EVENT, Reply(status, "the connection failed"), NOW, 0.5)
    assert result.fate is fate
    assert bool(result.sentence) is (fate is not Fate.DELIVERED)


def test_an_event_is_given_up_after_three_days_of_trying_and_not_of_waiting() -> None:
    old = replace(EVENT, created_at=NOW - timedelta(days=90))
    assert judge(old, Reply(500), NOW, 0.5).fate is Fate.WAITS
    tried = replace(EVENT, first_at=NOW - GIVE_UP_AFTER)
    assert judge(tried, Reply(500), NOW, 0.5).fate is Fate.DEAD
    assert judge(tried, Reply(500), NOW - timedelta(seconds=1), 0.5).fate is Fate.WAITS
    assert judge(tried, Reply(200), NOW, 0.5).fate is Fate.DELIVERED
    assert judge(tried, Reply(410), NOW, 0.5).fate is Fate.UNWANTED


def test_a_receiver_that_asks_for_patience_gets_it() -> None:
    assert judge(EVENT, Reply(503, retry_after_s=900.0), NOW, 0.5).wait_s == 900.0
    assert judge(EVENT, Reply(503, retry_after_s=1.0), NOW, 0.5).wait_s == 10.0


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_waits_grow_to_hours_and_are_spread(attempt: int, chance: float) -> None:
    assert 8.0 <= wait_s(attempt, chance) <= MOST_WAIT_S * 1.2000001
    assert wait_s(attempt, 0.5) <= wait_s(attempt + 1, 0.5)
    assert wait_s(attempt, 0.0) < wait_s(attempt, 1.0)


def test_three_days_hold_some_twenty_tries() -> None:
    spent, tries = 0.0, 1
    while spent < GIVE_UP_AFTER.total_seconds():
        spent += wait_s(tries, 0.5)
        tries += 1
    assert 20 <= tries <= 30
