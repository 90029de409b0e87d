"""watch-version: which version runs in production, so that one which nobody released is seen."""

from __future__ import annotations

from datetime import UTC, datetime

from checklists.checks.http import VersionParams, running_version
from checklists.checks.model import CheckContext, Unable
from checklists.releases import saw_version
from jobs.core.errors import UsageError
from jobs.core.jobs import Every, Params, Run, job


@job(
    name="watch-version",
    title="Watch the deployed version",
    does="Asks the application which version it is, and keeps when each was first and last seen.",
    schedule=Every(300),
    timeout_s=60,
    needs="app_url",
    params=Params,
)
def watch_version(run: Run, _params: Params) -> None:
    """Counts `new` versions; fails in one sentence if the application does not say what it is."""
    run.count("new", 0)
    now = datetime.now(UTC)
    context = CheckContext(run.db, run.settings, {}, now, now, ())
    try:
        version = running_version(context, VersionParams())
    except Unable as error:
        raise UsageError(f"{error} {error.mend}") from error
    run.info("the application says what it is", version=version)
    if not run.dry_run:
        with run.db.begin() as conn:
            if saw_version(conn, version):
                run.count("new")
                run.info("a version that was not seen before", version=version)
