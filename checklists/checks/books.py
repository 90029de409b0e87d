"""The books: what the proofs of integrity say, each over everything and not too long ago."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from checklists.checks.model import CheckContext, CheckParams, CheckResult, Unable, check, failed, gathered, passed
from checklists.checks.reach import age, plural, reading, some
from checklists.grammar import Duration
from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.integrity.findings import read_checks
from jobs.integrity.model import JOB_OF, Check, CheckState
from jobs.run.execute import execute
from jobs.run.store import request_run

_CLOCKS_DIFFER = timedelta(minutes=1)
_BOOKS = tuple(each for each in Check if JOB_OF[each] == "verify-ledger")


class InvariantParams(CheckParams):
    """Prove now, or how old a proof may be."""

    within: Duration | None = Field(None, description="a whole proof within; empty: prove everything now")


@check("books.invariants", title="The books balance", params=InvariantParams, timeout_s=1800)
def invariants(context: CheckContext, params: InvariantParams) -> CheckResult:
    """Double entry, balances, overdrafts, postings, doubles and statuses: the job verify-ledger's own proofs."""
    if params.within is None:
        _prove(context.db, context.settings)
    states = _states(context, _BOOKS)
    # What was proved now began after `now`.
    since = context.now - (params.within or _CLOCKS_DIFFER)
    late = [state.check.value for state in states if state.as_of is None or state.as_of < since]
    if late:
        raise Unable(
            f"Not proved {'now' if params.within is None else f'within {age(params.within)}'}: {some(late)}.",
            "Run the job verify-ledger to its end, then look again.",
        )
    looked_at = max(state.looked_at for state in states)
    if not looked_at:
        raise Unable("There is nothing in the books to prove.", "Look again when there are transactions.")
    wrong = {state.check.value: state.findings for state in states if state.findings}
    if wrong:
        return failed(
            f"{plural(sum(wrong.values()), 'finding')}: {some([f'{name} {count}' for name, count in wrong.items()])}.",
            "Stop what moves money, and see each row on the page Integrity.",
            findings=wrong,
        )
    return passed(
        f"All {len(states)} proofs hold over {plural(looked_at, 'transaction')}.",
        proofs={state.check.value: state.as_of.isoformat() if state.as_of else None for state in states},
    )


class HistoryParams(CheckParams):
    """Nothing to choose."""


@check("books.history", title="What the network says of settled transactions", params=HistoryParams)
def history(context: CheckContext, params: HistoryParams) -> CheckResult:
    """Every proof with its age and findings: books, wallets, and the audit of the history."""
    states = _states(context, tuple(Check))
    if all(state.as_of is None for state in states):
        raise Unable("Nothing was ever proved.", "Run verify-ledger, sync-wallets and audit-history.")
    findings = sum(state.findings for state in states)
    never = [state.check.value for state in states if state.as_of is None]
    return gathered(
        f"{plural(findings, 'open finding')} in {len(states) - len(never)} proofs"
        + (f"; never proved: {some(never)}." if never else "."),
        proofs={
            state.check.value: f"{plural(state.findings, 'finding')}, "
            + (f"over {state.looked_at:,} at {state.as_of:%Y-%m-%d %H:%M} UTC" if state.as_of else "never proved")
            for state in states
        },
    )


def _states(context: CheckContext, wanted: tuple[Check, ...]) -> list[CheckState]:
    with reading(context) as conn:
        return [state for state in read_checks(conn) if state.check in wanted]


def _prove(db: Database, settings: Settings) -> None:
    """Runs verify-ledger here, as `jobs run --wait` does, with its run and its findings kept."""
    with db.begin() as conn:
        run_id = request_run(
            conn, job="verify-ledger", trigger="checklist", actor="checklist", reason="a check of a checklist",
            origin="job", queued=False,
        )  # fmt: skip
    run = execute(db, settings, run_id, worker_id=None)
    if run.state != "succeeded":
        raise Unable(
            f"Run {run_id} of verify-ledger did not end well ({run.state}): {run.error}", "See the run's page."
        )
