"""Real transactions that somebody names on an item: what the books say of them, and what the chain says."""

from __future__ import annotations

import asyncio
import re

from pydantic import Field
from sqlalchemy import text

from checklists.checks.horizon import client_of
from checklists.checks.model import JSON, CheckContext, CheckParams, CheckResult, Unable, check, failed, gathered
from checklists.checks.reach import plural, reading, some
from jobs.horizon.model import Lookup

_HASH = re.compile(r"\b[0-9a-fA-F]{64}\b")
_ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
_MOST = 20


class EvidenceParams(CheckParams):
    """Who is asked."""

    chain: bool = Field(True, description="ask Horizon about each hash as well")


@check("transactions.given", title="The transactions on the item were settled", params=EvidenceParams)
def given(context: CheckContext, params: EvidenceParams) -> CheckResult:
    """Each hash, or id, on the item: found in the books, settled, and included on the chain."""
    written = " ".join(context.given)
    hashes = [found.lower() for found in _HASH.findall(written)]
    ids = [found.lower() for found in _ID.findall(written)]
    if not hashes and not ids:
        raise Unable("No transaction stands on the item.", "Put the hash of the transaction on it, 64 hex digits.")
    if len(hashes) + len(ids) > _MOST:
        raise Unable(f"More than {_MOST} transactions stand on the item.", "Keep to a few.")
    with reading(context) as conn:
        rows = conn.execute(
            text(
                "SELECT id::text, lower(tx_hash) AS hash, status, type, amount, currency FROM transactions"
                " WHERE tx_hash = ANY (CAST(:hashes AS text[])) OR id = ANY (CAST(:ids AS uuid[]))"
            ),
            {"hashes": [*hashes, *(found.upper() for found in hashes)], "ids": ids},
        ).all()
    by_name = {row.hash: row for row in rows} | {row.id: row for row in rows}
    asked = list(dict.fromkeys([*hashes, *(row.hash for row in rows if row.hash)]))
    on_chain = asyncio.run(_look_up(context, asked)) if params.chain and asked else {}
    seen: dict[str, JSON] = {}
    wrong = []
    for name in dict.fromkeys([*hashes, *ids]):
        row = by_name.get(name)
        lookup = on_chain.get(row.hash if row is not None and row.hash else name)
        chain = None if lookup is None else lookup.detail
        books = None if row is None else f"{row.type} {row.amount.normalize():f} {row.currency}: {row.status}"
        seen[name] = {"books": books or "not in the books", "chain": chain or "not asked"}
        included = lookup is not None and lookup.transaction is not None and lookup.transaction.successful
        if row is None:
            wrong.append(f"{name[:12]} is not in the books")
        elif row.status != "SUCCESS":
            wrong.append(f"{name[:12]} is {row.status}")
        elif params.chain and not included:
            wrong.append(f"{name[:12]} is SUCCESS in the books, but the chain does not show it")
    if wrong:
        return failed(
            f"{some(wrong)}.", "See the transaction's page, and wait for the next run if it is new.", seen=seen
        )
    return gathered(
        f"{plural(len(seen), 'transaction')} settled" + (" and on the chain." if params.chain else "."), seen=seen
    )


async def _look_up(context: CheckContext, hashes: list[str]) -> dict[str, Lookup]:
    if not context.settings.horizon_urls:
        raise Unable("No Horizon server is configured.", "Set STELLAR_HORIZON_URL.")
    async with client_of(context, context.settings.horizon_urls[0]) as horizon:
        return {found.asked: found async for found in horizon.lookup_many(hashes)}
