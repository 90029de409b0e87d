"""Stellar RPC's answers, as stellar-rpc and its providers write them, and everything that is none."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.horizon.decode import Undecodable
from jobs.horizon.rpc_answers import (
    Range,
    read_account,
    read_found,
    read_inner_hashes,
    read_passphrase,
    read_range,
    read_status,
)
from jobs.horizon.sandbox.wallet import Wallet

ACCOUNT = Wallet.named("payer").address
EXPECTED = Range(
    79289, datetime(2023, 7, 26, 16, 0, 40, tzinfo=UTC), 77850, datetime(2023, 7, 26, 13, 54, 54, tzinfo=UTC)
)


@pytest.mark.parametrize("as_text", [False, True])
def test_ledgers_and_times_are_read_as_numbers_and_as_texts(as_text: bool) -> None:
    figures = {
        "latestLedger": 79289,
        "latestLedgerCloseTime": 1690387240,
        "oldestLedger": 77850,
        "oldestLedgerCloseTime": 1690379694,
    }
    assert read_range({key: str(value) if as_text else value for key, value in figures.items()}) == EXPECTED


@pytest.mark.parametrize("status", ["PENDING", "DUPLICATE", "not_found", None, 1])
def test_a_status_that_is_not_known_is_no_answer(status: object) -> None:
    with pytest.raises(Undecodable, match="status"):
        read_status({"status": status})


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(
    [
        "status", "latestLedger", "latestLedgerCloseTime", "oldestLedger", "oldestLedgerCloseTime", "envelopeXdr",
        "resultXdr", "ledger", "createdAt", "transactions", "feeBump", "entries", "xdr", "passphrase",
    ]
)  # fmt: skip


@given(result=st.dictionaries(keys, json, max_size=10))
def test_whatever_a_server_sends_is_a_value_or_undecodable(result: dict[str, object]) -> None:
    for read in (
        read_range,
        read_status,
        read_passphrase,
        lambda body: read_found("ab" * 32, body, "A network"),
        lambda body: read_inner_hashes(body, "A network"),
        lambda body: read_account(body, ACCOUNT),
    ):
        try:
            read(result)
        except Undecodable:
            continue
