"""refresh-checks: what was proven once is proven again when it has become too old, so that no green grows stale.

It runs what somebody has run before and whose time is over, in runs that are open, the oldest first and a limited
number at a time; what it leaves comes next time. What fails now holds its phase from now on; what passes now ticks its
line, unless a person had reopened it.
"""

from __future__ import annotations

from collections import Counter

from pydantic import Field
from sqlalchemy import text

from checklists.lines import TrackedItem
from checklists.proofs import SYSTEM, prove_all
from checklists.proving import stale_lines
from checklists.reads import load_run
from jobs.core.jobs import Every, Params, Run, job

_WITH_STALE_CHECKS = text(
    "SELECT c.run_id, min(c.expires_at) AS since FROM ("
    "  SELECT DISTINCT ON (run_id, item_id) run_id, item_id, expires_at FROM ops.checklist_checks"
    "  WHERE run_id IN (SELECT id FROM ops.checklist_runs WHERE state = 'open')"
    "  ORDER BY run_id, item_id, id DESC) c"
    " WHERE c.expires_at <= now() GROUP BY c.run_id ORDER BY since LIMIT :most"
)


class RefreshParams(Params):
    """What one run of the job may take on."""

    most: int = Field(50, ge=1, le=500, description="how many checks are run at most")


@job(
    name="refresh-checks",
    title="Run stale checks again",
    does="Runs the checks of open checklists again whose last result has become too old.",
    schedule=Every(600),
    timeout_s=540,
    params=RefreshParams,
)
def refresh_checks(run: Run, params: RefreshParams) -> None:
    """Counts each verdict, and `ticked`; a dry run says what it would run."""
    with run.db.read() as conn:
        lists = conn.execute(_WITH_STALE_CHECKS, {"most": params.most}).scalars().all()
        wanted: list[tuple[int, TrackedItem]] = []
        for list_id in lists:
            found = load_run(conn, list_id)
            wanted += [(list_id, line) for line in stale_lines(found.phases, found.read_at)]
    wanted = wanted[: params.most]
    run.info("stale checks", checklists=len(lists), checks=len(wanted), dry_run=run.dry_run)
    run.count("ticked", 0)
    if run.dry_run:
        run.count("stale", len(wanted))
        return
    done: Counter[str] = Counter()
    for proof in prove_all(run.db, run.settings, wanted, SYSTEM, origin=f"run:{run.id}"):
        done["refused" if proof.refused else proof.verdict.value] += 1
        run.count("refused" if proof.refused else proof.verdict.value)
        run.count("ticked", int(proof.ticked))
        run.progress(done.total(), len(wanted))
        if run.should_stop():
            run.warning("stopped before the end", done=done.total(), of=len(wanted))
            return
