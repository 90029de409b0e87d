"""watch-secrets: for how long each secret of the settings has had its value.

What is kept of a value is a salted argon2 hash, by which it is known again and from which nobody gets it back. A value
is as old as our first sight of it: one that was in use before this job first ran looks younger than it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from pydantic import SecretStr
from sqlalchemy import Connection, text

from jobs.core.audit import AuditRow, record
from jobs.core.jobs import Every, Params, Run, job
from jobs.core.settings import Settings, variables
from jobs.probes.series import write_samples

METRIC = "secret.age_days"
"""Its subject is the variable that sets the secret."""
_DAY_S = 86_400
_KNOWN = text("SELECT fingerprint, since, now() AS now FROM ops.secrets WHERE setting = :setting")
# Who sees a new value at the same time as another is second here, and finds it known at its next look.
_FIRST = text("""
INSERT INTO ops.secrets (setting, fingerprint) VALUES (:setting, :fingerprint) ON CONFLICT DO NOTHING RETURNING since
""")
_CHANGED = text("""
UPDATE ops.secrets SET fingerprint = :fingerprint, since = now()
 WHERE setting = :setting AND fingerprint = :before RETURNING since
""")


@job(
    name="watch-secrets",
    title="Watch the age of secrets",
    does="Notes for how many days each secret of the settings has had its value, of which it keeps a salted hash alone.",
    schedule=Every(seconds=3600),
    timeout_s=60,
    params=Params,
)
def watch_secrets(run: Run, _params: Params) -> None:
    """Counts `secrets` and `changed`. A dry run reads the ages of those that are known, and notes no change."""
    for setting, value in secrets_of(run.settings).items():
        run.count("secrets")
        with run.db.begin() as conn:
            age_s = _age_s(conn, run, setting, value)
            if age_s is not None:
                write_samples(conn, setting, {METRIC: age_s / _DAY_S})


def secrets_of(settings: Settings) -> Mapping[str, str]:
    """The secrets that are set, by their variables; of several in one setting, all as one."""
    found = {}
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        parts = [part.get_secret_value() for part in _tuple(value) if isinstance(part, SecretStr)]
        if any(parts):
            found[variables(field)[0]] = "\n".join(parts)
    return found


def _age_s(conn: Connection, run: Run, setting: str, value: str) -> float | None:
    """Seconds since this value was first seen; None: it is new, and this run may not or need not note it."""
    known = conn.execute(_KNOWN, {"setting": setting}).one_or_none()
    if known is not None and _is(value, known.fingerprint):
        age: float = (known.now - known.since).total_seconds()
        return age
    if run.dry_run:
        return None
    bound = {"setting": setting, "fingerprint": _hasher().hash(value), "before": known and known.fingerprint}
    since: datetime | None = conn.execute(_FIRST if known is None else _CHANGED, bound).scalar_one_or_none()
    if since is None:
        return None
    if known is not None:
        run.count("changed")
        old = {"since": known.since.isoformat()}
        record(conn, AuditRow(f"run:{run.id}", "secret.changed", "setting", setting, "job", old))
    return 0.0


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
