from __future__ import annotations

import base64
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stellar_sdk import (
    AccountMerge,
    Asset,
    Claimant,
    ClaimClaimableBalance,
    CreateAccount,
    CreateClaimableBalance,
    HashMemo,
    IdMemo,
    LedgerBounds,
    ManageData,
    MuxedAccount,
    PathPaymentStrictReceive,
    PathPaymentStrictSend,
    Payment,
    ReturnHashMemo,
    TextMemo,
    TransactionEnvelope,
    xdr,
)
from stellar_sdk.operation import Operation as SdkOperation

from jobs.horizon.codes import word
from jobs.horizon.decode import Undecodable, decode_envelope, decode_transaction
from jobs.horizon.model import Address, ChainTransaction, Memo
from jobs.horizon.model import Asset as ChainAsset
from jobs.horizon.plain import read_plain
from tests.unit.envelopes import (
    ISSUER,
    PASSPHRASE,
    PAYEE,
    PAYER,
    SPONSOR,
    builder,
    cut,
    fee_bump,
    fee_bump_result,
    operation_result,
    paid,
    result,
    sign,
)

CLOSED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
USD = Asset("USD", ISSUER.public_key)
PAY = Payment(PAYEE.public_key, Asset.native(), "12.3456789")
Code = xdr.TransactionResultCode


def decode(
    envelope: TransactionEnvelope, result_xdr: str, asked: str | None = None, passphrase: str = PASSPHRASE
) -> ChainTransaction:
    return decode_transaction(
        asked or envelope.hash_hex(), envelope.to_xdr(), result_xdr, ledger=7, closed_at=CLOSED, passphrase=passphrase
    )


def decode_one(operation: SdkOperation, done: xdr.OperationResult) -> ChainTransaction:
    return decode(sign(builder(operation)), result(done))


def test_a_payment_is_its_receiver_asset_and_exact_amount() -> None:
    found = decode_one(Payment(PAYEE.public_key, USD, "922337203685.4775807"), paid())
    (operation,) = found.operations
    assert (operation.kind, operation.destination) == ("payment", Address(PAYEE.public_key))
    assert operation.asset == ChainAsset("USD", ISSUER.public_key)
    assert operation.received == 2**63 - 1
    assert (found.successful, found.hash_proved, found.result_code) == (True, True, "tx_success")
    assert found.operation_codes == ()
    assert (found.ledger, found.closed_at) == (7, CLOSED)


def test_an_asset_code_of_twelve_letters_keeps_its_issuer() -> None:
    found = decode_one(Payment(PAYEE.public_key, Asset("NEXAFXDOLLAR", ISSUER.public_key), "1"), paid())
    assert found.operations[0].asset == ChainAsset("NEXAFXDOLLAR", ISSUER.public_key)


@pytest.mark.parametrize("muxed_id", [0, 1, 2**64 - 1])
def test_a_multiplexed_address_keeps_its_id_in_every_position_and_zero_is_an_id(muxed_id: int) -> None:
    sender, receiver = MuxedAccount(PAYER.public_key, muxed_id), MuxedAccount(PAYEE.public_key, muxed_id)
    made = builder(
        Payment(receiver, Asset.native(), "1"),
        Payment(receiver, Asset.native(), "1", source=sender),
        source=sender.account_muxed,
    )
    first, second = decode(sign(made), result(paid(), paid())).operations
    assert first.source == second.source == Address(PAYER.public_key, muxed_id)
    assert first.destination == Address(PAYEE.public_key, muxed_id)


def test_create_account_receives_the_starting_balance() -> None:
    done = operation_result(
        xdr.OperationType.CREATE_ACCOUNT,
        create_account_result=xdr.CreateAccountResult(xdr.CreateAccountResultCode.CREATE_ACCOUNT_SUCCESS),
    )
    (operation,) = decode_one(CreateAccount(PAYEE.public_key, "5.5"), done).operations
    assert (operation.destination, operation.asset) == (Address(PAYEE.public_key), ChainAsset("XLM", None))
    assert operation.received == 55_000_000


def last_payment(amount: int) -> xdr.SimplePaymentResult:
    return xdr.SimplePaymentResult(PAYEE.xdr_account_id(), USD.to_xdr_object(), xdr.Int64(amount))


def test_a_strict_send_path_payment_receives_what_the_result_says_not_what_was_sent() -> None:
    done = operation_result(
        xdr.OperationType.PATH_PAYMENT_STRICT_SEND,
        path_payment_strict_send_result=xdr.PathPaymentStrictSendResult(
            xdr.PathPaymentStrictSendResultCode.PATH_PAYMENT_STRICT_SEND_SUCCESS,
            xdr.PathPaymentStrictSendResultSuccess([], last_payment(987)),
        ),
    )
    sent = PathPaymentStrictSend(PAYEE.public_key, Asset.native(), "100", USD, "0.0000001", [])
    (operation,) = decode_one(sent, done).operations
    assert (operation.received, operation.asset) == (987, ChainAsset("USD", ISSUER.public_key))


def test_a_strict_receive_path_payment_receives_its_destination_amount() -> None:
    done = operation_result(
        xdr.OperationType.PATH_PAYMENT_STRICT_RECEIVE,
        path_payment_strict_receive_result=xdr.PathPaymentStrictReceiveResult(
            xdr.PathPaymentStrictReceiveResultCode.PATH_PAYMENT_STRICT_RECEIVE_SUCCESS,
            xdr.PathPaymentStrictReceiveResultSuccess([], last_payment(20_000_000)),
        ),
    )
    sent = PathPaymentStrictReceive(PAYEE.public_key, Asset.native(), "100", USD, "2", [])
    assert decode_one(sent, done).operations[0].received == 20_000_000


def test_a_merge_receives_the_balance_that_the_result_says() -> None:
    done = operation_result(
        xdr.OperationType.ACCOUNT_MERGE,
        account_merge_result=xdr.AccountMergeResult(
            xdr.AccountMergeResultCode.ACCOUNT_MERGE_SUCCESS, xdr.Int64(31_337)
        ),
    )
    (operation,) = decode_one(AccountMerge(MuxedAccount(PAYEE.public_key, 9)), done).operations
    assert (operation.destination, operation.received) == (Address(PAYEE.public_key, 9), 31_337)


def test_a_created_claimable_balance_is_offered_and_nothing_is_received() -> None:
    balance = xdr.ClaimableBalanceID(xdr.ClaimableBalanceIDType.CLAIMABLE_BALANCE_ID_TYPE_V0, xdr.Hash(b"\7" * 32))
    done = operation_result(
        xdr.OperationType.CREATE_CLAIMABLE_BALANCE,
        create_claimable_balance_result=xdr.CreateClaimableBalanceResult(
            xdr.CreateClaimableBalanceResultCode.CREATE_CLAIMABLE_BALANCE_SUCCESS, balance
        ),
    )
    created = CreateClaimableBalance(USD, "3", [Claimant(PAYEE.public_key), Claimant(PAYER.public_key)])
    (operation,) = decode_one(created, done).operations
    assert (operation.offered, operation.received) == (30_000_000, None)
    assert operation.claimants == (PAYEE.public_key, PAYER.public_key)


def test_a_claimed_balance_names_its_receiver_and_no_amount() -> None:
    done = operation_result(
        xdr.OperationType.CLAIM_CLAIMABLE_BALANCE,
        claim_claimable_balance_result=xdr.ClaimClaimableBalanceResult(
            xdr.ClaimClaimableBalanceResultCode.CLAIM_CLAIMABLE_BALANCE_SUCCESS
        ),
    )
    (operation,) = decode_one(ClaimClaimableBalance("0" * 8 + "07" * 32), done).operations
    assert (operation.kind, operation.destination) == ("claim_claimable_balance", Address(PAYER.public_key))
    assert operation.received is None


@pytest.mark.parametrize(
    ("memo", "expected"),
    [
        (TextMemo("Rent, 3 €"), Memo("text", "Rent, 3 €")),
        (TextMemo(b"\xff\0"), Memo("text", "\ufffd\ufffd")),
        (TextMemo(""), Memo("text", "")),
        (IdMemo(2**64 - 1), Memo("id", "18446744073709551615")),
        (HashMemo(b"\1" * 32), Memo("hash", base64.b64encode(b"\1" * 32).decode())),
        (ReturnHashMemo(b"\2" * 32), Memo("return", base64.b64encode(b"\2" * 32).decode())),
    ],
)
def test_a_memo_is_shown_as_horizon_shows_it(memo: TextMemo | IdMemo | HashMemo, expected: Memo) -> None:
    assert decode(sign(builder(PAY).add_memo(memo)), result(paid())).memo == expected


def test_a_fee_bump_is_proved_under_both_hashes_and_counts_under_the_inner_one() -> None:
    inner = sign(builder(PAY))
    outer = fee_bump(inner)
    for asked in (inner.hash_hex(), outer.hash_hex()):
        found = decode_transaction(
            asked, outer.to_xdr(), fee_bump_result(inner, paid()), ledger=7, closed_at=CLOSED, passphrase=PASSPHRASE
        )
        assert found.hash_proved
        assert (found.canonical, found.outer) == (inner.hash_hex(), outer.hash_hex())
        assert (found.result_code, found.operations[0].received) == ("tx_success", 123_456_789)


def test_a_fee_bump_from_a_multiplexed_sponsor_is_hashed_over_the_right_bytes() -> None:
    inner = sign(builder(PAY))
    outer = fee_bump(inner)
    outer.transaction.fee_source = MuxedAccount(SPONSOR.public_key, 5)
    envelope = decode_envelope(outer.to_xdr(), PASSPHRASE)
    assert envelope.hashes == (outer.hash_hex(), inner.hash_hex())


def test_a_result_of_another_inner_transaction_proves_nothing() -> None:
    inner, other = sign(builder(PAY)), sign(builder(PAY, PAY))
    outer = fee_bump(inner)
    found = decode_transaction(
        outer.hash_hex(), outer.to_xdr(), fee_bump_result(other, paid()), ledger=7, closed_at=CLOSED,
        passphrase=PASSPHRASE,
    )  # fmt: skip
    assert not found.hash_proved


def test_an_envelope_of_version_0_has_the_hash_that_the_network_gives_it() -> None:
    envelope = sign(builder(PAY, v1=False).add_time_bounds(0, 99))
    found = decode(envelope, result(paid()))
    assert found.hash_proved
    assert decode_envelope(envelope.to_xdr(), PASSPHRASE).max_time == 99


def test_under_another_passphrase_nothing_is_proved() -> None:
    assert not decode(sign(builder(PAY)), result(paid()), passphrase="Another Network").hash_proved


def test_under_another_hash_nothing_is_proved() -> None:
    assert not decode(sign(builder(PAY)), result(paid()), asked="ab" * 32).hash_proved


def test_a_failed_transaction_pays_nobody_and_says_why_in_horizons_words() -> None:
    short = operation_result(
        xdr.OperationType.PAYMENT, payment_result=xdr.PaymentResult(xdr.PaymentResultCode.PAYMENT_UNDERFUNDED)
    )
    found = decode(sign(builder(PAY, PAY)), result(paid(), short, code=Code.txFAILED))
    assert not found.successful
    assert found.result_code == "tx_failed"
    assert found.operation_codes == ("op_success", "op_underfunded")
    assert [operation.received for operation in found.operations] == [None, None]


def test_a_failed_fee_bump_names_the_inner_reason() -> None:
    inner = sign(builder(PAY))
    outer = fee_bump(inner)
    found = decode_transaction(
        inner.hash_hex(), outer.to_xdr(), fee_bump_result(inner, code=Code.txBAD_SEQ), ledger=7, closed_at=CLOSED,
        passphrase=PASSPHRASE,
    )  # fmt: skip
    assert (found.successful, found.result_code, found.operation_codes) == (False, "tx_bad_seq", ())


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (Code.txNO_ACCOUNT, "tx_no_source_account"),
        (Code.txBAD_MIN_SEQ_AGE_OR_GAP, "tx_bad_minseq_age_or_gap"),
        (Code.txINSUFFICIENT_BALANCE, "tx_insufficient_balance"),
        (xdr.OperationResultCode.opNO_ACCOUNT, "op_no_source_account"),
        (xdr.OperationResultCode.opBAD_AUTH, "op_bad_auth"),
        (xdr.PaymentResultCode.PAYMENT_NO_TRUST, "op_no_trust"),
        (xdr.CreateAccountResultCode.CREATE_ACCOUNT_ALREADY_EXIST, "op_already_exists"),
        (xdr.PathPaymentStrictSendResultCode.PATH_PAYMENT_STRICT_SEND_UNDER_DESTMIN, "op_under_dest_min"),
        (xdr.PathPaymentStrictReceiveResultCode.PATH_PAYMENT_STRICT_RECEIVE_OVER_SENDMAX, "op_over_source_max"),
        (xdr.AccountMergeResultCode.ACCOUNT_MERGE_SEQNUM_TOO_FAR, "op_seq_num_too_far"),
    ],
)
def test_a_code_has_horizons_word(code: Code, expected: str) -> None:
    assert word(code) == expected


def test_codes_of_different_kinds_with_the_same_number_keep_their_own_words() -> None:
    assert word(Code.txSUCCESS) == "tx_success"
    assert word(xdr.PaymentResultCode.PAYMENT_SUCCESS) == "op_success"
    assert word(xdr.OperationResultCode.opINNER) == "op_inner"


def test_an_operation_that_pays_nobody_is_listed_under_its_index() -> None:
    noted = operation_result(
        xdr.OperationType.MANAGE_DATA,
        manage_data_result=xdr.ManageDataResult(xdr.ManageDataResultCode.MANAGE_DATA_SUCCESS),
    )
    found = decode(sign(builder(ManageData("name", b"value"), PAY)), result(noted, paid()))
    assert [(operation.index, operation.kind, operation.received) for operation in found.operations] == [
        (0, "manage_data", None),
        (1, "payment", 123_456_789),
    ]


def test_a_signed_envelope_gives_the_facts_of_a_proof_of_never() -> None:
    made = builder(PAY, source=MuxedAccount(PAYER.public_key, 3).account_muxed).add_time_bounds(5, 1_700_000_000)
    envelope = sign(made.set_ledger_bounds(0, 777))
    found = decode_envelope(envelope.to_xdr(), PASSPHRASE)
    assert found.hashes == (envelope.hash_hex(),)
    assert (found.source, found.sequence) == (PAYER.public_key, 42)
    assert (found.max_time, found.max_ledger) == (1_700_000_000, 777)
    assert LedgerBounds(0, 777) == envelope.transaction.preconditions.ledger_bounds  # type: ignore[union-attr]


def test_an_envelope_without_bounds_never_expires() -> None:
    found = decode_envelope(sign(builder(PAY)).to_xdr(), PASSPHRASE)
    assert (found.max_time, found.max_ledger) == (0, 0)


@pytest.mark.parametrize(
    "operations", [(), (paid(), paid()), (operation_result(xdr.OperationType.ACCOUNT_MERGE,
        account_merge_result=xdr.AccountMergeResult(xdr.AccountMergeResultCode.ACCOUNT_MERGE_SUCCESS, xdr.Int64(1))),),
        (operation_result(xdr.OperationType.PAYMENT,
        payment_result=xdr.PaymentResult(xdr.PaymentResultCode.PAYMENT_NO_TRUST)),),
        (xdr.OperationResult(xdr.OperationResultCode.opBAD_AUTH),)]
)  # fmt: skip
def test_a_successful_result_that_does_not_fit_the_envelope_is_undecodable(
    operations: tuple[xdr.OperationResult, ...],
) -> None:
    with pytest.raises(Undecodable):
        decode(sign(builder(PAY)), result(*operations))


def test_a_fee_bump_result_for_a_plain_envelope_is_undecodable() -> None:
    inner = sign(builder(PAY))
    with pytest.raises(Undecodable):
        decode(inner, fee_bump_result(inner, paid()))


@given(size=st.integers(0, 200))
def test_a_cut_envelope_is_undecodable_and_never_another_error(size: int) -> None:
    whole = sign(builder(PAY)).to_xdr()
    cut_short = cut(whole, min(size, len(base64.b64decode(whole)) - 1))
    with pytest.raises(Undecodable):
        decode_envelope(cut_short, PASSPHRASE)


@given(noise=st.one_of(st.text(max_size=300), st.binary(max_size=300).map(lambda raw: base64.b64encode(raw).decode())))
def test_noise_is_undecodable_and_never_another_error(noise: str) -> None:
    with pytest.raises(Undecodable):
        decode_envelope(noise, PASSPHRASE)
    with pytest.raises(Undecodable):
        decode_transaction("ab" * 32, sign(builder(PAY)).to_xdr(), noise, ledger=1, closed_at=CLOSED, passphrase="")


@given(position=st.integers(0, 10_000), value=st.integers(0, 255))
def test_a_changed_byte_loses_the_proof_or_is_undecodable(position: int, value: int) -> None:
    envelope = sign(builder(PAY))
    raw = bytearray(base64.b64decode(envelope.to_xdr()))
    signed = len(raw) - 4 - 72
    position %= signed
    if raw[position] == value:
        return
    raw[position] = value
    try:
        found = decode_transaction(
            envelope.hash_hex(), base64.b64encode(raw).decode(), result(paid()), ledger=1, closed_at=CLOSED,
            passphrase=PASSPHRASE,
        )  # fmt: skip
    except Undecodable:
        return
    assert not found.hash_proved


@given(amount=st.integers(1, 2**63 - 1))
def test_stroops_survive_exactly(amount: int) -> None:
    units = f"{amount // 10**7}.{amount % 10**7:07d}"
    found = decode_one(Payment(PAYEE.public_key, Asset.native(), units), paid())
    assert found.operations[0].received == amount


addresses = st.tuples(st.sampled_from([PAYER, PAYEE, ISSUER, SPONSOR]), st.none() | st.integers(0, 2**64 - 1)).map(
    lambda it: it[0].public_key if it[1] is None else str(MuxedAccount(it[0].public_key, it[1]).account_muxed)
)
assets = st.sampled_from([Asset.native(), USD, Asset("NEXAFXDOLLAR", ISSUER.public_key)])
payments = st.builds(
    Payment,
    addresses,
    assets,
    st.integers(1, 2**63 - 1).map(lambda amount: str(Decimal(amount).scaleb(-7))),
    st.none() | addresses,
)
memos = st.one_of(
    st.none(),
    st.binary(max_size=28).map(TextMemo),
    st.integers(0, 2**64 - 1).map(IdMemo),
    st.binary(min_size=32, max_size=32).map(HashMemo),
    st.binary(min_size=32, max_size=32).map(ReturnHashMemo),
)


@given(st.lists(payments, min_size=1, max_size=3), addresses, memos, st.booleans(), st.integers(0, 3), st.data())
def test_a_plain_envelope_says_the_same_as_the_whole_decoder_also_when_a_byte_is_changed(
    made: list[Payment],
    source: str,
    memo: TextMemo | IdMemo | HashMemo | ReturnHashMemo | None,
    succeeds: bool,
    signatures: int,
    data: st.DataObject,
) -> None:
    built = builder(*made, source=source)
    if memo is not None:
        built.add_memo(memo)
    envelope = built.add_time_bounds(0, 99).build()
    for signer in [PAYER, PAYEE, ISSUER][:signatures]:
        envelope.sign(signer)
    raw = envelope.to_xdr_object().to_xdr_bytes()
    assert read_plain(raw) is not None
    code = Code.txSUCCESS if succeeds else Code.txFAILED
    outcome = result(*(paid() for _ in made), code=code)
    at = data.draw(st.integers(0, len(raw) - 1))
    for given_raw in (raw, raw[:at] + bytes([raw[at] ^ data.draw(st.integers(1, 255))]) + raw[at + 1 :]):
        plainly, wholly = (decoded(given_raw, outcome, envelope.hash_hex(), plain=plain) for plain in (True, False))
        assert plainly == wholly


def decoded(raw: bytes, outcome: str, asked: str, *, plain: bool) -> ChainTransaction | str:
    with pytest.MonkeyPatch.context() as patch:
        if not plain:
            patch.setattr("jobs.horizon.decode.read_plain", lambda _: None)
        try:
            text = base64.b64encode(raw).decode()
            return decode_transaction(asked, text, outcome, ledger=7, closed_at=CLOSED, passphrase=PASSPHRASE)
        except Undecodable as error:
            return str(error)
