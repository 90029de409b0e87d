"""A transaction of our own, from its creation to the user's balance. Only on the sandbox, where money is play money.

One is made for a checklist's run and serves all of its items: the sandbox's friendbot opens a wallet and so pays into
it, the row waits as any deposit does, and the real job settles it. It stays, marked in its metadata.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal
from uuid import UUID

import orjson
from pydantic import Field
from sqlalchemy import text

from checklists.checks.model import JSON, CheckContext, CheckParams, CheckResult, Unable, check, failed, passed
from checklists.checks.reach import fetch, reading
from jobs.core.db import jsonb
from jobs.horizon.sandbox.network import SANDBOX_PASSPHRASE
from jobs.horizon.sandbox.submission import FRIENDBOT_UNITS
from jobs.horizon.sandbox.wallet import Wallet
from jobs.run.execute import execute
from jobs.run.store import request_run

_AMOUNT = Decimal(FRIENDBOT_UNITS)
_BY_HAND = "Make a real transaction, and put its hash on the item that asks for one."


class SyntheticParams(CheckParams):
    """What has to have happened."""

    expect: Literal["settled", "notification", "balance"] = Field("settled", description="what is looked at")


@dataclass(frozen=True, slots=True)
class _Made:
    """What became of the transaction; amounts in units."""

    id: UUID
    status: str
    notifications: int
    balance: Decimal
    entries: Decimal


@check("synthetic.transaction", title="A test transaction goes all the way", params=SyntheticParams, timeout_s=180)
def transaction(context: CheckContext, params: SyntheticParams) -> CheckResult:
    """Creates the deposit unless this run has one, settles it by the job, and looks at its effects."""
    if context.settings.passphrase != SANDBOX_PASSPHRASE:
        raise Unable(
            f"Test transactions are made on the sandbox only, and this is {context.settings.network_label}.", _BY_HAND
        )
    made = _find(context)
    if made is None:
        _create(context)
        made = _find(context)
    if made is not None and made.status == "PENDING":
        _settle(context, made.id)
        made = _find(context)
    if made is None:
        raise Unable("The test transaction is gone.", "Run the check again.")
    seen: dict[str, JSON] = {
        "transaction": str(made.id),
        "status": made.status,
        "notifications": made.notifications,
        "balance": str(made.balance),
        "entries": str(made.entries),
    }
    mend = f"See the story of the transaction {made.id}, and do not go on."
    if made.status != "SUCCESS":
        return failed(f"The test transaction is {made.status}, not SUCCESS.", mend, **seen)
    if params.expect == "notification" and made.notifications != 1:
        return failed(f"The test transaction has {made.notifications} notifications, not one.", mend, **seen)
    if params.expect == "balance" and not made.balance == made.entries == _AMOUNT:
        return failed(f"The balance is {made.balance} after a deposit of {_AMOUNT} XLM.", mend, **seen)
    words = {
        "settled": "was created and reconciled",
        "notification": "was settled, and its user notified once",
        "balance": f"was settled, and raised the balance by {_AMOUNT} XLM",
    }
    return passed(f"The test transaction {words[params.expect]}.", **seen)


def _find(context: CheckContext) -> _Made | None:
    """The newest of our transactions since this run began."""
    with reading(context) as conn:
        row = conn.execute(
            text(
                "SELECT t.id, t.status, (SELECT count(*) FROM notifications n WHERE n.user_id = t.user_id"
                "   AND n.related_id = t.id) AS notifications,"
                " coalesce((SELECT sum(amount) FROM balances b WHERE b.user_id = t.user_id), 0) AS balance,"
                " coalesce((SELECT sum(CASE direction WHEN 'CREDIT' THEN amount ELSE -amount END) FROM ledger_entries e"
                "   WHERE e.transaction_id = t.id AND e.account_type = 'USER'), 0) AS entries"
                " FROM transactions t WHERE t.metadata ->> 'synthetic' = 'checklist' AND t.created_at >= :since"
                " ORDER BY t.created_at DESC LIMIT 1"
            ),
            {"since": context.started_at},
        ).one_or_none()
    return None if row is None else _Made(**row._mapping)


def _create(context: CheckContext) -> None:
    wallet = Wallet()
    if not context.settings.horizon_urls:
        raise Unable("No sandbox is configured.", "Start the desk with `nexaops up --demo`.")
    url = context.settings.horizon_urls[0]
    reply = fetch(context, f"{url}/friendbot?addr={wallet.address}")
    document = orjson.loads(reply.body) if reply.status == 200 else {}
    if not isinstance(document, dict) or "hash" not in document:
        raise Unable(
            f"The sandbox's friendbot answered {reply.status}.", "See that STELLAR_HORIZON_URL is the sandbox."
        )
    with context.db.begin() as conn:
        conn.execute(
            text(
                "WITH who AS (INSERT INTO users (email, wallet_public_key) VALUES (:email, :wallet) RETURNING id)"
                " INSERT INTO transactions (user_id, type, amount, currency, tx_hash, metadata)"
                " SELECT id, 'DEPOSIT', :amount, 'XLM', :hash, :metadata FROM who"
            ),
            {
                "email": f"check-{wallet.address.lower()}@nexaops.invalid",
                "wallet": wallet.address,
                "amount": _AMOUNT,
                "hash": document["hash"],
                "metadata": jsonb({"synthetic": "checklist"}),
            },
        )


def _settle(context: CheckContext, transaction_id: UUID) -> None:
    """By the job itself, here, as `jobs run --wait` does it."""
    with context.db.begin() as conn:
        run_id = request_run(
            conn, job="reconcile-pending", params={"transaction_id": str(transaction_id)}, trigger="checklist",
            actor="checklist", reason="a check of a checklist", origin="job", queued=False,
        )  # fmt: skip
    run = execute(context.db, context.settings, run_id, worker_id=None)
    if run.state != "succeeded":
        raise Unable(
            f"Run {run_id} of reconcile-pending did not end well ({run.state}): {run.error}", "See the run's page."
        )
