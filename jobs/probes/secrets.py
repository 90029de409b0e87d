"""watch-secrets: for how long each secret of the settings has had its value, and whether all hosts hold the same.

What is kept of a value is a salted argon2 hash, by which it is known again and from which nobody gets it back. A value
is as old as our first sight of it: one that was in use before this job first ran looks younger than it is. Each run sees
the settings of its own host, so what is known is known of a host; a value that another host holds already is given that
host's hash and age, by which equal values are equal without being seen.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from pydantic import SecretStr
from sqlalchemy import Connection, Row, text

from jobs.core.audit import AuditRow, record
from jobs.core.jobs import Every, Params, Run, job
from jobs.core.settings import Settings, variables
from jobs.probes.series import write_samples

AGE, VALUES = "secret.age_days", "secret.values"
"""Their subject is the variable that sets the secret: the days that the oldest value has been held, and how many
different ones hosts hold."""
_KEPT_DAYS = 90
"""What a host held that has not been seen for so long is forgotten: hosts that are containers come and go."""
_DAY_S = 86_400
_TAKE_OVER = text("UPDATE ops.secrets_held SET host = :host WHERE setting = :setting AND host = ''")
_KNOWN = text("SELECT host, fingerprint, since FROM ops.secrets_held WHERE setting = :setting ORDER BY since, host")
# Another run on this host that sees the same at the same time is second here, and finds it known at its next look.
_HOLD = text("""
INSERT INTO ops.secrets_held AS s (setting, host, fingerprint, since)
VALUES (:setting, :host, :fingerprint, coalesce(:since, now()))
ON CONFLICT (setting, host) DO UPDATE SET fingerprint = excluded.fingerprint, since = excluded.since, seen_at = now()
 WHERE s.fingerprint = :before
RETURNING since
""")
# What counts is this host and those whose worker beats and had started when it was seen: a worker that was started anew
# may hold another value, and nobody has looked yet.
_HELD = text("""
SELECT fingerprint, extract(epoch FROM now() - min(since)) AS age_s, array_agg(host ORDER BY host) AS hosts
  FROM ops.secrets_held s WHERE setting = :setting AND (host = :host OR EXISTS (
       SELECT FROM ops.workers w WHERE w.host = s.host AND w.stopped_at IS NULL
          AND w.beat_at > now() - interval '30 s' AND w.started_at <= s.seen_at))
 GROUP BY fingerprint ORDER BY min(since)
""")
_FORGET = text("DELETE FROM ops.secrets_held WHERE seen_at < now() - make_interval(days => :days)")


@job(
    name="watch-secrets",
    title="Watch the age of secrets",
    does="Notes for how many days each secret of the settings has had its value, of which it keeps a salted hash alone,"
    " and whether hosts hold different ones.",
    schedule=Every(seconds=3600),
    timeout_s=60,
    params=Params,
)
def watch_secrets(run: Run, _params: Params) -> None:
    """Counts `secrets`, `changed` and `differing`. A dry run reads the ages of those that are known, and notes no change."""
    host = socket.gethostname()
    for setting, value in secrets_of(run.settings).items():
        run.count("secrets")
        with run.db.begin() as conn:
            if _look(conn, run, host, setting, value):
                _tell(conn, run, host, setting)
    if not run.dry_run:
        with run.db.begin() as conn:
            conn.execute(_FORGET, {"days": _KEPT_DAYS})


def secrets_of(settings: Settings) -> Mapping[str, str]:
    """The secrets that are set, by their variables; of several in one setting, all as one."""
    found = {}
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        parts = [part.get_secret_value() for part in _tuple(value) if isinstance(part, SecretStr)]
        if any(parts):
            found[variables(field)[0]] = "\n".join(parts)
    return found


def _look(conn: Connection, run: Run, host: str, setting: str, value: str) -> bool:
    """Notes what this host holds; False: it is new, and this run may not or need not note it."""
    if not run.dry_run:
        conn.execute(_TAKE_OVER, {"setting": setting, "host": host})
    known = conn.execute(_KNOWN, {"setting": setting}).all()
    own = next((row for row in known if row.host == host), None)
    same = _recognised(value, known)
    if run.dry_run:
        return same is not None
    fingerprint = _hasher().hash(value) if same is None else same.fingerprint
    bound = {
        "setting": setting,
        "host": host,
        "fingerprint": fingerprint,
        "since": None if same is None else same.since,
        "before": own and own.fingerprint,
    }
    since: datetime | None = conn.execute(_HOLD, bound).scalar_one_or_none()
    if since is None:
        return False
    before = own or (known[-1] if known and same is None else None)
    if before is not None and before.fingerprint != fingerprint and not _is(value, before.fingerprint):
        run.count("changed")
        old, new = {"since": before.since.isoformat()}, {"host": host}
        record(conn, AuditRow(f"run:{run.id}", "secret.changed", "setting", setting, "job", old, new))
    return True


def _tell(conn: Connection, run: Run, host: str, setting: str) -> None:
    held = conn.execute(_HELD, {"setting": setting, "host": host}).all()
    if not held:
        return
    write_samples(conn, setting, {AGE: float(held[0].age_s) / _DAY_S, VALUES: float(len(held))})
    if len(held) > 1:
        run.count("differing")
        run.warning("hosts hold different values of a secret", setting=setting, hosts=[row.hosts for row in held])


def _recognised(value: str, known: Sequence[Row[Any]]) -> Row[Any] | None:
    """The oldest sight of this value, on whatever host; `known` the oldest first. Each hash is tried once: it takes its time and memory."""
    oldest: dict[str, Row[Any]] = {}
    for row in known:
        oldest.setdefault(row.fingerprint, row)
    return next((row for row in oldest.values() if _is(value, row.fingerprint)), None)


def _is(value: str, fingerprint: str) -> bool:
    try:
        return _hasher().verify(fingerprint, value)
    except VerificationError:
        return False


@cache
def _hasher() -> PasswordHasher:
    """19 MiB and two passes, the least that OWASP advises: a run's process must not keep much memory."""
    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def _tuple(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else (value,)
