"""cleanup-reconciliation: what reconciling leaves behind is deleted once nobody asks for it any more, in batches.

Never what is unresolved: an event that was not delivered, a look at a transaction that is pending or has an open case, an
open finding, or the history of a wallet that one is about. Of a wallet's history the newest row before the time limit
stays too, since it is what the wallet had from then on. Decisions, claims, entries and the audit trail are kept for ever.
"""

from __future__ import annotations

from jobs.core.flags import Flag
from jobs.core.jobs import Cron, Params, Run, job
from jobs.upkeep.walk import Old, clean

_AGE = "now() - make_interval(days => :history_days)"
_AT_REST = """
   NOT EXISTS (SELECT FROM transactions x WHERE x.id = t.transaction_id AND x.status = 'PENDING')
   AND NOT EXISTS (SELECT FROM ops.reconciliation_cases c
                    WHERE c.transaction_id = t.transaction_id AND c.resolved_at IS NULL)"""
_TRAIL = (
    Old("ops.outbox", "t.sent_at < now() - make_interval(days => :event_days)", counter="'events'"),
    Old("ops.looks", f"t.last_at < {_AGE} AND {_AT_REST}", counter="'looks'"),
    Old("ops.checks", f"t.last_at < {_AGE} AND {_AT_REST}", counter="'looks'"),
    Old("ops.integrity_findings", f"t.resolved_at < {_AGE}", counter="'findings'"),
    Old(
        "ops.wallet_history",
        f"""t.at < {_AGE}
   AND EXISTS (SELECT FROM ops.wallet_history n
                WHERE (n.account, n.currency, n.asset_issuer) = (t.account, t.currency, t.asset_issuer)
                  AND n.id > t.id AND n.at < {_AGE})
   AND NOT EXISTS (SELECT FROM ops.integrity_findings f
                    WHERE f.resolved_at IS NULL
                      AND (f.account, f.currency, f.asset_issuer) = (t.account, t.currency, t.asset_issuer))""",  # noqa: S608 - constants
        counter="'wallets'",
    ),
)


@job(
    name="cleanup-reconciliation",
    title="Clean up after reconciliation",
    does="Deletes delivered events, looks at settled transactions, resolved findings and old histories of wallets.",
    schedule=Cron("30 2 * * *"),
    timeout_s=3600,
    retries=2,
    flag=Flag.CLEANUP,
    params=Params,
)
def cleanup_reconciliation(run: Run, _params: Params) -> None:
    """Counts `events`, `looks`, `findings` and `wallets` (rows of histories): deleted, or on a dry run what would be."""
    ages = {"event_days": run.settings.delivered_events_days, "history_days": run.settings.reconciliation_days}
    run.info("cleaning up", dry_run=run.dry_run, **ages)
    for name in ("events", "looks", "findings", "wallets"):
        run.count(name, 0)
    clean(run, _TRAIL, ages)
