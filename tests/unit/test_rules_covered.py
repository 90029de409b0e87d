"""The rules of reconciliation, line by line, each with the tests that prove it: a rule without a test is no rule."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROVED_BY: dict[str, tuple[str, ...]] = {
    # What Horizon's answer to /transactions/{hash} proves
    "200, successful, all matches: settled": (
        "test_a_success_that_matches_in_everything_settles_and_names_its_operation",
        "test_each_way_of_paying_settles_its_row",
    ),
    "200, successful, something differs: a case that names it": (
        "test_what_differs_becomes_a_case_that_names_it",
        "test_what_differs_becomes_a_case_that_closes_itself_when_the_row_is_mended",
    ),
    "200, failed: final, with its codes": (
        "test_an_included_failure_is_final_and_carries_its_codes",
        "test_a_deposit_and_a_withdrawal_that_failed_on_the_chain_end_failed_and_the_user_is_refunded",
    ),
    "404 without proof of never: pending": ("test_what_is_no_proof_keeps_the_row_pending",),
    "404 with proof of never: failed, saying which proof": (
        "test_time_bounds_prove_never_only_after_a_ledger_closed_strictly_later",
        "test_an_envelope_whose_time_has_passed_is_never_and_the_money_comes_back",
    ),
    "404, older than the retention: BEYOND_HISTORY": (
        "test_a_row_older_than_the_retention_is_beyond_what_the_server_can_know",
        "test_retention_reaches_back_to_a_row_that_is_no_older_than_the_elder_ledger",
    ),
    "400, or no 64 hex digits: INVALID_HASH; compared in lower case": (
        "test_a_malformed_hash_is_a_case_without_a_request_or_with_a_refusal",
        "test_a_hash_with_anything_around_it_is_malformed",
        "test_hashes_are_compared_in_lower_case",
    ),
    "410: pending": ("test_what_is_no_proof_keeps_the_row_pending", "test_each_status_is_one_kind_of_answer"),
    "429: pending, Retry-After obeyed, headers may be absent": (
        "test_retry_after_is_obeyed_and_recorded_for_all_workers",
        "test_a_retry_after_stops_every_worker",
        "test_absent_headers_say_nothing",
    ),
    "503, 504, time-outs, resets, no JSON, truncated JSON: pending": (
        "test_a_server_in_trouble_leaves_rows_pending_and_unlocked",
        "test_one_more_answer_that_proves_nothing_never_moves_money",
    ),
    "another network, or a ledger that went backwards: frozen": (
        "test_a_frozen_server_settles_nothing",
        "test_a_frozen_server_changes_nothing",
    ),
    "a 404 counts only while the canary stands": (
        "test_the_canary_tells_a_wrong_base_address",
        "test_each_condition_of_never_is_needed",
    ),
    "a fee-bump is one payment under either hash": (
        "test_a_fee_bump_pays_once_whichever_hash_a_row_holds",
        "test_a_payment_found_under_its_other_hash_is_the_same_payment",
    ),
    # What must match
    "destination by base account and id, absent is not 0": (
        "test_a_muxed_id_is_part_of_the_receiver_also_when_it_is_zero",
        "test_a_multiplexed_address_keeps_its_id_in_every_position_and_zero_is_an_id",
    ),
    "asset by code and issuer, native is native": (
        "test_a_currency_without_an_issuer_is_native_only_if_it_is_xlm",
    ),
    "amount exact to the stroop, what was received": (
        "test_a_payment_that_differs_by_a_stroop_never_settles",
        "test_the_largest_amount_is_compared_exactly",
        "test_a_strict_send_path_payment_receives_what_the_result_says_not_what_was_sent",
        "test_create_account_receives_the_starting_balance",
        "test_an_account_that_was_merged_pays_what_the_result_says",
    ),
    "a payment split over two operations: AMOUNT_MISMATCH": (
        "test_a_payment_split_over_two_operations_is_an_amount_that_differs",
    ),
    "memo by type and value where one is expected, hash and return in base64": (
        "test_a_memo_is_compared_by_type_and_value_when_one_is_expected",
        "test_hash_and_return_memos_are_compared_in_base64",
    ),
    "one operation pays one row, the oldest first": (
        "test_of_rows_that_claim_one_operation_the_oldest_is_paid",
        "test_rows_on_one_hash_are_paid_by_different_operations",
        "test_an_operation_that_was_claimed_long_ago_pays_nobody_else",
        "test_any_number_of_rows_on_one_hash_are_paid_once_each_operation",
    ),
    "created is not received": (
        "test_a_claimable_balance_pays_once_it_was_claimed_and_nobody_by_being_created",
    ),
    "the envelope gives the hash under the configured passphrase": (
        "test_an_envelope_of_another_network_settles_nothing",
        "test_under_another_passphrase_nothing_is_proved",
    ),
    "a row without a hash is a case after an hour": (
        "test_a_row_without_a_hash_waits_an_hour_and_becomes_a_case",
    ),
    # Proof of never
    "without an envelope age proves nothing; after 24 hours a case": (
        "test_an_old_absent_row_without_an_envelope_is_a_case_and_never_a_failure",
    ),
    "watermark first, the 404 after it, twice, from the same server": (
        "test_a_404_has_to_come_twice_before_it_can_prove_never",
        "test_each_condition_of_never_is_needed",
        "test_a_failure_without_an_inclusion_has_every_part_of_its_proof",
    ),
    "a ledger closed strictly after max_time; 0 never expires": (
        "test_time_bounds_prove_never_only_after_a_ledger_closed_strictly_later",
        "test_an_old_absent_row_that_may_still_land_keeps_waiting",
    ),
    "the ledger max_ledger - 1 is ingested": (
        "test_ledger_bounds_prove_never_once_the_last_possible_ledger_is_ingested",
        "test_ledger_bounds_and_a_spent_sequence_number_are_never_too",
    ),
    "the sequence number is spent at a ledger, the 404 at or past it": (
        "test_a_spent_sequence_number_proves_never_at_the_ledger_that_spent_it",
        "test_the_sequence_of_another_account_or_server_proves_nothing",
    ),
    "both hashes are absent": ("test_both_hashes_of_a_fee_bump_must_be_absent",),
    "never the local clock": ("test_the_clock_alone_never_moves_money",),
    "never while Horizon is behind": ("test_a_server_that_is_behind_proves_no_absence",),
    # What went wrong in systems like this one
    "two jobs settling the same row": ("test_two_runs_at_once_settle_each_row_once",),
    "a lock owned by a host name": ("test_a_lock_is_taken_over_only_from_an_attempt_that_is_over",),
    "unlocking what another run holds": ("test_a_batch_is_held_oldest_first_and_by_one_run_only",),
    "a lock that bumps updated_at": (
        "test_locking_never_changes_updated_at",
        "test_a_rescue_looks_back_24_hours_from_the_failure_whatever_locked_the_row_since",
    ),
    "reading all failed rows into memory": ("test_failed_rows_are_read_a_batch_at_a_time",),
    "status saved before the balance": ("test_status_and_balance_move_together_or_not_at_all",),
    "float arithmetic": ("test_stroops_survive_exactly", "test_the_largest_amount_is_compared_exactly"),
    "a snapshot that overwrites credits": ("test_a_balance_is_added_to_and_never_overwritten",),
    "a rescue that keeps the refund": ("test_a_rescued_withdrawal_gives_its_refund_back_once",),
    "one hash crediting many rows": ("test_one_operation_pays_one_row_and_the_rest_of_the_batch_settles",),
    "a submission time-out marked FAILED": (
        "test_a_submission_that_timed_out_and_landed_later_is_paid_and_never_failed",
    ),
    "a withdrawal whose hash was never saved": (
        "test_a_withdrawal_whose_hash_was_never_saved_is_a_case_and_no_refund",
    ),
    "every error pending for ever without an alarm": (
        "test_an_old_absent_row_without_an_envelope_is_a_case_and_never_a_failure",
        "test_a_record_that_cannot_be_read_waits_a_day_and_becomes_a_case_where_the_server_shows_others_well",
        "test_look_ups_without_an_answer_are_counted",
    ),
    "bad input stops the batch": ("test_every_odd_row_is_a_case_with_a_sentence_and_costs_nobody_else",),
}  # fmt: skip
TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def tests() -> set[str]:
    files = TESTS.rglob("test_*.py")
    return {name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text("utf-8"), re.MULTILINE)}


@pytest.mark.parametrize("rule", PROVED_BY)
def test_each_rule_has_its_tests(rule: str, tests: set[str]) -> None:
    assert set(PROVED_BY[rule]) <= tests
