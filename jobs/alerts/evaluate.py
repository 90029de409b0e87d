"""evaluate-alerts: reads every signal, decides what fires and what is over, leaves both in one transaction, and tells.

Under a lease, whose row stays locked until that transaction commits: a second evaluation waits for it and judges what
the first has left, so nothing fires twice; one that is killed leaves nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from jobs.alerts.keeping import (
    EVERY_S,
    apply,
    apply_folds,
    ended_causes,
    fired_lately,
    keep_readings,
    keep_watching,
    last_readings,
)
from jobs.alerts.model import Alert, Reading, Rule
from jobs.alerts.ping import ping
from jobs.alerts.readings import read_signals
from jobs.alerts.rules import Change, advance, fold
from jobs.alerts.signals import SAMPLED
from jobs.alerts.store import list_rules, open_alerts
from jobs.alerts.telling import put_due
from jobs.core.flags import rehearses
from jobs.core.jobs import Every, Params, Run, job
from jobs.core.settings import Settings
from jobs.probes.facts import read_facts
from jobs.probes.measures import read_measures
from jobs.run.lease import Lease

EVALUATE_ALERTS = "evaluate-alerts"
LEASE, LEASE_S = "alerts", 12.0


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that an evaluation judges, read at `now` in one transaction."""

    now: datetime
    rules: list[Rule]
    alerts: list[Alert]
    known: dict[tuple[str, str], float | None]
    readings: list[Reading]

    def changes(self, conn: Connection) -> list[Change]:
        """What becomes of the alerts."""
        return advance(self.rules, self.alerts, self.readings, fired_lately(conn, self.now), self.now)


@job(
    name=EVALUATE_ALERTS,
    title="Evaluate alerts",
    does="Reads every signal, lets alerts fire and end as the rules say, and folds what follows from something else.",
    schedule=Every(seconds=EVERY_S),
    timeout_s=14,
    params=Params,
)
def evaluate_alerts(run: Run, _params: Params) -> None:
    """Counts `signals`, `kept` readings, `fired`, `resolved` and `folded`; a dry run says what would change."""
    for name in ("signals", "kept", "fired", "resolved", "folded"):
        run.count(name, 0)
    if run.dry_run and _rehearse(run):
        return
    lease = Lease(LEASE, run.token, LEASE_S)
    with run.db.begin() as conn:
        if not lease.hold(conn):
            run.info("another worker evaluates now")
            return
        # A statement that hangs on a server in trouble must not hold the lease: the next evaluation tries again.
        _hurry(conn)
        seen = look(conn, run.settings)
        changes, folded = settle(conn, seen, actor=f"run:{run.id}")
        kept = keep_readings(conn, seen.readings, seen.known, seen.now)
        keep_watching(conn, seen.now)
        # Only the lock was wanted: the next evaluation is another run and need not wait until the lease has run out.
        lease.resign(conn)
    run.count("signals", len(seen.readings))
    run.count("kept", kept)
    run.count("folded", folded)
    _tell_run(run, changes)
    # By itself: what keeps people from being told must not keep the pages from showing what fires. After a kill in
    # between the next evaluation tells.
    with run.db.begin() as conn:
        _hurry(conn)
        put_due(conn, run.settings, seen.now)
    ping(run)


def _hurry(conn: Connection) -> None:
    conn.execute(text("SELECT set_config('statement_timeout', '8s', true)"))


def look(conn: Connection, settings: Settings) -> Seen:
    """Reads what is judged; changes nothing."""
    facts = read_facts(conn, settings)
    known = last_readings(conn)
    readings = read_signals(facts, read_measures(conn, settings, tuple(SAMPLED)), known)
    return Seen(facts.now, list_rules(conn), open_alerts(conn), known, readings)


def settle(conn: Connection, seen: Seen, *, actor: str) -> tuple[list[Change], int]:
    """Writes what becomes of the alerts, then what follows from what; returns the changes, and how many folds changed."""
    changes = apply(conn, seen.changes(conn), actor=actor)
    alerts = open_alerts(conn)
    folds = fold(seen.rules, alerts, ended_causes(conn, alerts), seen.now)
    return changes, apply_folds(conn, folds, actor=actor)


def _rehearse(run: Run) -> bool:
    """Says what would change; False, and says nothing, where it is the flag that makes every run a dry one."""
    with run.db.read() as conn:
        if not rehearses(conn, dry_run=run.dry_run):
            return False
        seen = look(conn, run.settings)
        changes = seen.changes(conn)
    run.count("signals", len(seen.readings))
    _tell_run(run, changes)
    return True


def _tell_run(run: Run, changes: list[Change]) -> None:
    counted: Counter[str] = Counter()
    for change in changes:
        alert = change.after
        if alert is None or not (change.fired or change.resolved):
            continue
        word = "fired" if change.fired else "resolved"
        counted[word] += 1
        if change.fired:
            run.warning("an alert fires", alert=alert.id, rule=alert.rule, subject=alert.subject, why=alert.sentence)
        else:
            run.info("an alert is over", alert=alert.id, rule=alert.rule, subject=alert.subject, why=alert.resolution)
    for word, n in counted.items():
        run.count(word, n)
