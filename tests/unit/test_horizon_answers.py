from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stellar_sdk import Asset, Payment

from jobs.horizon import model
from jobs.horizon.answers import (
    clean,
    problem_words,
    read_balances,
    read_closed_at,
    read_fee_stats,
    read_hash,
    read_health,
    read_records,
    read_root,
    read_sequence,
    read_server_time,
    read_token,
    read_transaction,
)
from jobs.horizon.decode import Undecodable
from jobs.horizon.model import Root
from tests.unit.envelopes import PASSPHRASE, PAYEE, builder, paid, result, sign

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)
ROOT: dict[str, object] = {
    "horizon_version": "24.0.0",
    "core_version": "24.1.0",
    "ingest_latest_ledger": 100,
    "history_latest_ledger": 100,
    "history_latest_ledger_closed_at": "2026-01-02T03:04:05Z",
    "history_elder_ledger": 2,
    "core_latest_ledger": 101,
    "network_passphrase": PASSPHRASE,
    "current_protocol_version": 24,
    "supported_protocol_version": 24,
}
FEES: dict[str, object] = {
    "last_ledger": "100",
    "last_ledger_base_fee": "100",
    "ledger_capacity_usage": "0.97",
    "fee_charged": {"p50": "100", "p95": "250"},
    "max_fee": {"p95": "9000"},
}

LEDGER: dict[str, object] = {"sequence": 100, "closed_at": "2026-01-02T03:04:05Z"}
ACCOUNT: dict[str, object] = {"account_id": "GACCOUNT", "sequence": "42"}
BALANCES: dict[str, object] = {
    "account_id": "GACCOUNT",
    "balances": [
        {"asset_type": "credit_alphanum4", "asset_code": "USDC", "asset_issuer": "GISSUER", "balance": "0.0000001"},
        {"asset_type": "liquidity_pool_shares", "liquidity_pool_id": "ab" * 32, "balance": "7.0000000"},
        {"asset_type": "native", "balance": "922337203685.4775807"},
    ],
}


def record() -> dict[str, object]:
    envelope = sign(builder(Payment(PAYEE.public_key, Asset.native(), "3")))
    return {
        "hash": envelope.hash_hex(),
        "paging_token": "429496733696",
        "ledger": 100,
        "created_at": "2026-01-02T03:04:05Z",
        "successful": True,
        "envelope_xdr": envelope.to_xdr(),
        "result_xdr": result(paid()),
    }


RECORD = record()


def root(body: dict[str, object]) -> object:
    return read_root("s", body, server_time=None, latency_ms=1.0)


def transaction(body: dict[str, object]) -> object:
    return read_transaction(str(RECORD["hash"]), body, PASSPHRASE)


READERS: list[tuple[Callable[[dict[str, object]], object], dict[str, object]]] = [
    (root, ROOT),
    (transaction, RECORD),
    (read_health, {"database_connected": True, "core_up": True, "core_synced": False}),
    (read_fee_stats, FEES),
    (read_records, {"_embedded": {"records": [RECORD]}}),
    (read_hash, RECORD),
    (read_token, RECORD),
    (partial(read_closed_at, 100), LEDGER),
    (partial(read_sequence, "GACCOUNT"), ACCOUNT),
    (partial(read_balances, "GACCOUNT"), BALANCES),
]


@pytest.mark.parametrize(("reader", "body"), READERS)
def test_what_horizon_sends_is_read(reader: Callable[[dict[str, object]], object], body: dict[str, object]) -> None:
    assert reader(body) is not None


@pytest.mark.parametrize(("reader", "body"), READERS)
@given(data=st.data())
def test_any_absurd_value_is_read_or_undecodable_and_never_another_error(
    reader: Callable[[dict[str, object]], object], body: dict[str, object], data: st.DataObject
) -> None:
    changed = {**body, data.draw(st.sampled_from(sorted(body))): data.draw(JSON)}
    try:
        reader(changed)
    except Undecodable:
        return


NOT_NEEDED = {
    "horizon_version",
    "core_version",
    "ingest_latest_ledger",
    "current_protocol_version",
    "supported_protocol_version",
}


@pytest.mark.parametrize("missing", sorted(ROOT.keys() - NOT_NEEDED))
def test_a_root_without_a_figure_that_a_decision_needs_is_undecodable(missing: str) -> None:
    with pytest.raises(Undecodable):
        root({key: value for key, value in ROOT.items() if key != missing})


@pytest.mark.parametrize("missing", sorted(NOT_NEEDED))
def test_a_root_without_what_no_decision_needs_is_read_and_raises_no_alarm(missing: str) -> None:
    found = root({key: value for key, value in ROOT.items() if key != missing})
    assert isinstance(found, Root)
    assert found.ingest_ledger == found.latest_ledger
    assert found.protocol <= found.supported_protocol


@pytest.mark.parametrize("value", [2**32, -1, True, "100", 1.0, None])
def test_a_ledger_that_no_network_can_have_is_undecodable(value: object) -> None:
    with pytest.raises(Undecodable):
        root({**ROOT, "history_latest_ledger": value})


def test_a_record_of_another_transaction_is_no_answer() -> None:
    with pytest.raises(Undecodable):
        read_transaction("ab" * 32, RECORD, PASSPHRASE)


def test_a_record_that_contradicts_its_own_result_is_no_answer() -> None:
    with pytest.raises(Undecodable):
        transaction({**RECORD, "successful": False})


def test_fees_are_read_from_their_texts() -> None:
    fees = read_fee_stats(FEES)
    assert (fees.capacity_usage, fees.charged_p95, fees.max_fee_p95) == ("0.97", 250, 9000)


def test_what_is_said_about_another_ledger_or_account_is_no_answer() -> None:
    for read in (
        partial(read_closed_at, 101, LEDGER),
        partial(read_sequence, "GOTHER", ACCOUNT),
        partial(read_balances, "GOTHER", BALANCES),
    ):
        with pytest.raises(Undecodable, match="another"):
            read()


def test_balances_are_stroops_by_asset_and_shares_of_pools_are_none() -> None:
    assert read_balances("GACCOUNT", BALANCES) == {
        model.Asset("USDC", "GISSUER"): 1,
        model.Asset("XLM", None): 2**63 - 1,
    }


@pytest.mark.parametrize(
    "amount", ["", ".", "1.", ".5", "1.00000001", "-1", "1e3", "1,5", "٣", "922337203685.4775808", 5, None]
)
def test_a_balance_that_horizon_cannot_have_meant_is_undecodable(amount: object) -> None:
    with pytest.raises(Undecodable):
        read_balances("GACCOUNT", ACCOUNT | {"balances": [{"asset_type": "native", "balance": amount}]})


def test_a_balance_that_is_named_twice_is_undecodable() -> None:
    with pytest.raises(Undecodable):
        read_balances("GACCOUNT", ACCOUNT | {"balances": [{"asset_type": "native", "balance": "1.0"}] * 2})


def test_a_passphrase_is_compared_exactly_as_it_was_sent() -> None:
    assert read_root(
        "s", {**ROOT, "network_passphrase": "a  b"}, server_time=None, latency_ms=1
    ).network_passphrase == ("a  b")


@given(text=st.text(max_size=300))
def test_a_servers_words_become_one_short_line_that_postgresql_can_hold(text: str) -> None:
    found = clean(text, 50)
    assert len(found) <= 50
    assert found.isprintable()


def test_a_problems_words_are_title_and_detail() -> None:
    assert problem_words({"title": "Rate Limit Exceeded", "detail": "The\nrate limit"}) == (
        "Rate Limit Exceeded: The rate limit"
    )
    assert problem_words({"title": 5, "detail": None}) == ""


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Date": "Tue, 06 Jan 2026 10:00:00 GMT"}, datetime(2026, 1, 6, 10, tzinfo=UTC)),
        ({"Date": "Tue, 06 Jan 2026 10:00:00 GMT", "Age": "30"}, datetime(2026, 1, 6, 10, 0, 30, tzinfo=UTC)),
        ({"Date": "yesterday"}, None),
        ({}, None),
    ],
)
def test_a_cached_answers_age_moves_the_servers_clock_on(headers: dict[str, str], expected: datetime | None) -> None:
    assert read_server_time(headers) == expected


@given(date=st.text(max_size=40), age=st.text(max_size=20))
def test_absurd_dates_are_no_date(date: str, age: str) -> None:
    found = read_server_time({"Date": date, "Age": age})
    assert found is None or found.tzinfo is not None
