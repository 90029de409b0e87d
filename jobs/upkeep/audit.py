"""verify-audit: the whole audit trail is verified every night, so that tampering is found without anybody asking."""

from __future__ import annotations

from jobs.core.audit_anchor import AnchorFile
from jobs.core.audit_verify import verify_trail
from jobs.core.errors import NexaError
from jobs.core.jobs import Cron, Params, Run, job


class VerifyAudit(Params):
    """There is nothing to choose: a chain is verified whole."""


@job(
    name="verify-audit",
    title="Verify the audit trail",
    does="Walks along the hash chain over the audit trail and compares it with what was written down outside of the "
    "database; fails, and names the first broken row, if anything was changed, taken out or put in.",
    schedule=Cron("30 3 * * *"),
    timeout_s=7_200,
    params=VerifyAudit,
)
def verify_audit(run: Run, _params: VerifyAudit) -> None:
    """Unlike a finding in the books, a broken chain fails the run: nobody can trust what it has recorded."""
    verdict = verify_trail(run.db, AnchorFile.of(run.settings).read(), by=f"run:{run.id}", progress=run.progress)
    for name, count in (("links", verdict.links), ("anchors", verdict.anchors), ("late", verdict.late)):
        run.count(name, count)
    if verdict.broken is not None:
        raise NexaError(verdict.broken.sentence)
