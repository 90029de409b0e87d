"""The page Transaction tells one story: what happened, by what proof, and what comes next."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import text

from jobs.core.audit import AuditRow, record
from jobs.core.db import Database
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from tests.db.books import add_row, add_run, fund
from tests.ui import money, seed
from tests.ui.desk import run_page, seen


def told(db: Database, settings: Settings, person: UUID, row: UUID) -> str:
    """All that the page says, once it says it without an error."""
    page = run_page(db, settings, "transaction", person, id=str(row))
    assert not page.exception
    assert not page.error
    return seen(page)


def headline(said: str) -> str:
    return said[said.index("<h1>") + 4 : said.index("</h1>")].replace("\u00a0", " ")


@pytest.mark.parametrize("role", list(Role))
def test_it_is_there_for_every_role(db: Database, settings: Settings, ada: money.User, role: Role) -> None:
    assert "What happened" in told(db, settings, seed.person(db, role), add_row(db, ada.id))


@pytest.mark.parametrize("given", ["", "nonsense", "<script>", str(UUID(int=5))])
def test_a_wrong_id_is_a_sentence(db: Database, settings: Settings, viewer: UUID, given: str) -> None:
    page = run_page(db, settings, "transaction", viewer, id=given)
    assert not page.exception
    said = seen(page)
    assert "There is no such transaction" in said or "Which transaction?" in said
    assert "<script" not in said


def test_a_confirmed_deposit_says_ledger_and_delay(
    db: Database, settings: Settings, viewer: UUID, ada: money.User
) -> None:
    row = add_row(db, ada.id, amount=Decimal(250))
    run = money.settle_on_chain(db, row)
    said = told(db, settings, viewer, row)
    head = headline(said)
    assert head.startswith(
        "This deposit of 250.00 XLM by ada@example.com is confirmed: it was included in ledger 1,234,567 at "
    )
    assert head.endswith(" UTC and credited 14 s later.")
    assert f'href="/run?id={run}"' in said
    assert "Credited to the user: +" in said
    assert "balance before: " in said
    assert ", after: " in said
    assert "platform&#x27;s assets" in said
    assert "Your deposit of 250 XLM has been confirmed" in said
    assert "GET /transactions/ababab…ababab" in said


def test_a_failed_withdrawal_says_why_and_that_it_was_refunded(
    db: Database, settings: Settings, viewer: UUID, ada: money.User
) -> None:
    fund(db, ada.id, Decimal(100))
    row = add_row(db, ada.id, type="WITHDRAW", amount=Decimal(40))
    money.settle_on_chain(db, row, failure="tx_failed (op_no_destination)")
    said = told(db, settings, viewer, row)
    assert "failed: the receiving account does not exist. The amount was refunded" in headline(said)
    assert "Refunded to the user" in said


def test_a_pending_one_says_what_was_seen_and_what_comes_next(
    db: Database, settings: Settings, viewer: UUID, ada: money.User
) -> None:
    seed.living(db)
    row = add_row(db, ada.id)
    money.add_check(db, row)
    said = told(db, settings, viewer, row)
    assert "is pending: it has waited 5 min for proof from the chain." in headline(said)
    assert "Horizon does not list it yet (3 looks in a row)." in said
    assert "The next look comes with reconcile-pending, every 2 minutes, not before" in said


def test_earlier_looks_stand_in_the_story_with_server_ledger_and_request(
    db: Database, settings: Settings, viewer: UUID, ada: money.User
) -> None:
    row = add_row(db, ada.id)
    money.add_check(db, row)
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.looks (transaction_id, outcome, server, times, first_at, last_at, detail, request, ledger)"
                " VALUES (:id, 'timeout', 'https://one.example.org', 40, now() - interval '2 minutes',"
                " now() - interval '1 minute', 'No answer.', 'GET /transactions/' || repeat('ab', 32), 4711)"
            ),
            {"id": row},
        )
    said = told(db, settings, viewer, row)
    assert said.index("Look: horizon did not answer in time") < said.index("Last look: horizon does not list it yet")
    assert "No answer. Seen 40 times until " in said
    assert " on one.example.org at ledger 4,711." in said
    assert "GET /transactions/ababab…ababab" in said


def test_when_nobody_looks_it_says_so(db: Database, settings: Settings, viewer: UUID, ada: money.User) -> None:
    seed.living(db)
    row = add_row(db, ada.id)
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.flags SET value = false WHERE name = 'enableReconciliation'"))
    assert "Nobody looks at it now: enableReconciliation is off." in told(db, settings, viewer, row)


def test_a_case_is_the_headline_and_shows_expected_beside_found(
    db: Database, settings: Settings, viewer: UUID, ada: money.User
) -> None:
    row = add_row(db, ada.id, amount=Decimal(250))
    number = money.add_case(db, row)
    said = told(db, settings, viewer, row)
    assert "waits for a decision: the amount differs." in headline(said)
    assert f'href="/cases?case={number}"' in said
    assert "Expected and found" in said
    assert "50.00 less" in said
    assert "expected 250.00, received 200.00" in said


def test_the_envelope_is_never_shown(db: Database, settings: Settings, ada: money.User) -> None:
    secret = "AAAAAgAAAAC" + "x" * 100
    row = add_row(db, ada.id, envelope_xdr=secret, failure_reason=f"see {secret}", status="FAILED")
    said = told(db, settings, seed.person(db, Role.ADMINISTRATOR), row)
    assert secret not in said


def test_markup_in_memo_mail_and_details_is_text(db: Database, settings: Settings, viewer: UUID) -> None:
    mallory = money.add_user(db, f"{money.SCRIPT}@example.com")
    row = add_row(db, mallory.id, memo_type="text", memo=money.SCRIPT)
    money.add_case(
        db, row, "ODD_REASON", details={"expected": money.SCRIPT, "found": [money.SCRIPT], "sentence": money.SCRIPT}
    )
    page = run_page(db, settings, "transaction", viewer, id=str(row))
    assert "<script" not in seen(page)
    assert money.SCRIPT in [code.value for code in page.code]


def test_hash_receiver_and_memo_can_be_copied_whole(
    db: Database, settings: Settings, viewer: UUID, ada: money.User
) -> None:
    row = add_row(db, ada.id, tx_hash="cd" * 32, memo_type="text", memo="NX-1")
    page = run_page(db, settings, "transaction", viewer, id=str(row))
    assert {"cd" * 32, money.WALLET, "NX-1", str(row)} <= {code.value for code in page.code}


def test_the_audit_trail_is_for_those_who_may_read_it(db: Database, settings: Settings, ada: money.User) -> None:
    row = add_row(db, ada.id)
    with db.begin() as conn:
        record(conn, AuditRow("grace@nexafx.com", "transaction.noted", "transaction", str(row), "cli", reason="a call"))
    assert "transaction noted by grace@nexafx.com" in told(db, settings, seed.person(db, Role.DEVOPS), row)
    assert "grace@nexafx.com" not in told(db, settings, seed.person(db, Role.VIEWER), row)


def test_the_explorer_is_named_for_the_public_networks_only(
    db: Database, settings: Settings, viewer: UUID, ada: money.User
) -> None:
    row = add_row(db, ada.id, tx_hash="CD" * 32)
    public = settings.model_copy(update={"network": "PUBLIC", "network_passphrase": None})
    for changed, links in ((settings, 0), (public, 1), (public.model_copy(update={"demo": True}), 0)):
        page = run_page(db, changed, "transaction", viewer, id=str(row))
        found = page.get("link_button")
        assert len(found) == links
        if links:
            assert found[0].proto.url == f"https://stellar.expert/explorer/public/tx/{'cd' * 32}"


def test_who_may_run_jobs_can_have_it_looked_at_now(db: Database, settings: Settings, ada: money.User) -> None:
    row = add_row(db, ada.id)
    page = run_page(db, settings, "transaction", seed.person(db, Role.DEVELOPER), id=str(row))
    page.button[0].click().run()
    with db.read() as conn:
        asked = conn.execute(text("SELECT job, params, triggered_by FROM ops.runs ORDER BY id DESC LIMIT 1")).one()
    assert asked.job == "reconcile-pending"
    assert asked.params["transaction_id"] == str(row)
    assert asked.triggered_by == "developer@nexafx.test"
    assert not run_page(db, settings, "transaction", seed.person(db, Role.VIEWER), id=str(row)).button


def test_a_dry_run_is_told_as_one(db: Database, settings: Settings, viewer: UUID, ada: money.User) -> None:
    row, run = add_row(db, ada.id, age=timedelta(hours=1)), add_run(db)
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.decisions (run_id, transaction_id, dry_run, verdict, reason, proof)"
                " VALUES (:run, :id, true, 'success', 'included', '{\"ledger\": \"odd\", \"requests\": 5}')"
            ),
            {"run": run, "id": row},
        )
    said = told(db, settings, viewer, row)
    assert "Dry run, nothing was changed" in said
    assert "is pending" in headline(said)


def add_event(db: Database, row: UUID, **values: object) -> None:
    names = ", ".join(values)
    with db.begin() as conn:
        conn.execute(
            text(
                f"INSERT INTO ops.outbox (kind, transaction_id, payload, {names})"
                f" VALUES ('transaction.failed', :row, '{{}}', {', '.join(f':{name}' for name in values)})"
            ),
            values | {"row": row},
        )


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"attempts": 2, "sent_at": "2026-03-01 12:00Z"}, "Event transaction.failed delivered"),
        ({"attempts": 3, "error": "The receiver answers 500."}, "Event transaction.failed waits for the other system"),
        ({"attempts": 24, "dead_at": "2026-03-01 12:00Z"}, "Event transaction.failed given up after 24 tries"),
    ],
)
def test_what_became_of_its_event_is_part_of_the_story(
    db: Database, settings: Settings, viewer: UUID, ada: money.User, event: dict[str, object], said: str
) -> None:
    row = add_row(db, ada.id, status="FAILED")
    add_event(db, row, **event)
    assert said in told(db, settings, viewer, row)
    assert not run_page(db, settings, "transaction", viewer, id=str(row)).button


def test_an_event_that_nobody_ever_sends_is_no_part_of_the_story(
    db: Database, settings: Settings, viewer: UUID, ada: money.User
) -> None:
    row = add_row(db, ada.id, status="FAILED")
    add_event(db, row, attempts=0)
    assert "Event transaction" not in told(db, settings, viewer, row)


def test_an_event_that_was_given_up_can_be_sent_again_by_who_may_run_jobs(
    db: Database, settings: Settings, ada: money.User
) -> None:
    row = add_row(db, ada.id, status="FAILED")
    add_event(db, row, attempts=24, dead_at="2026-03-01 12:00Z")
    page = run_page(db, settings, "transaction", seed.person(db, Role.DEVELOPER), id=str(row))
    page.button[0].click().run()
    with db.read() as conn:
        asked = conn.execute(text("SELECT job, params FROM ops.runs ORDER BY id DESC LIMIT 1")).one()
    assert (asked.job, asked.params) == ("deliver-events", {"transaction_id": str(row), "again": True})
