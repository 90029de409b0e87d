"""Feature flags: switches that act within a second, also on a run that is under way.

They are rows, read again at every batch, so that no process has to be told or restarted. Each switch is audited.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, text

from jobs.core import audit
from jobs.core.errors import UsageError


class Flag(StrEnum):
    """The names and, as their order in the pages, what they stop."""

    RECONCILIATION = "enableReconciliation"
    RETRY = "enableRetry"
    NOTIFICATIONS = "enableNotifications"
    BALANCE_UPDATES = "enableBalanceUpdates"
    CLEANUP = "enableCleanup"
    DRY_RUN = "dryRun"


DEFAULTS: Mapping[Flag, bool] = {flag: flag is not Flag.DRY_RUN for flag in Flag}
MEANINGS: Mapping[Flag, str] = {
    Flag.RECONCILIATION: "pending transactions are checked and settled",
    Flag.RETRY: "failed transactions are looked at again",
    Flag.NOTIFICATIONS: "users are notified of their transactions",
    Flag.BALANCE_UPDATES: "settlements may move balances",
    Flag.CLEANUP: "old notifications are deleted",
    Flag.DRY_RUN: "every job only says what it would do",
}


@dataclass(frozen=True, slots=True)
class FlagState:
    """A flag as it stands, who set it and why."""

    flag: Flag
    value: bool
    changed_at: datetime
    changed_by: str
    reason: str | None

    @property
    def unusual(self) -> bool:
        """Whether it differs from what it is on a quiet day."""
        return self.value is not DEFAULTS[self.flag]


def read_flags(conn: Connection) -> Mapping[Flag, bool]:
    """All flags as they stand now."""
    return {state.flag: state.value for state in list_flags(conn)}


def list_flags(conn: Connection) -> list[FlagState]:
    """All flags with who set them, in the order of `Flag`."""
    rows = conn.execute(text("SELECT name, value, changed_at, changed_by, reason FROM ops.flags"))
    found = {row.name: row for row in rows}
    return [
        FlagState(flag, row.value, row.changed_at, row.changed_by, row.reason)
        for flag in Flag
        if (row := found.get(flag.value)) is not None
    ]


def rehearses(conn: Connection, *, dry_run: bool) -> bool:
    """Whether a dry run was asked for, and is none only because the flag `dryRun` is on.

    The flag is for what moves money: what watches the desk and tells people goes on while it is on.
    """
    return dry_run and not read_flags(conn).get(Flag.DRY_RUN, False)


def set_flag(conn: Connection, flag: Flag, value: bool, *, actor: str, reason: str, origin: str) -> bool:
    """Switches a flag; False if it stood so already. Raises UsageError without a reason."""
    if not reason.strip():
        raise UsageError(f"Say why {flag} is switched: a reason is needed.")
    changed = conn.execute(
        text(
            "UPDATE ops.flags SET value = :value, changed_at = now(), changed_by = :actor, reason = :reason"
            " WHERE name = :name AND value <> :value"
        ),
        {"name": flag.value, "value": value, "actor": actor, "reason": reason},
    ).rowcount
    if changed:
        audit.record(
            conn,
            audit.AuditRow(
                actor, "flag.set", "flag", flag.value, origin, {"value": not value}, {"value": value}, reason
            ),
        )
    return bool(changed)


def seed_flags(conn: Connection) -> None:
    """Adds the flags that the database does not have yet, as on a quiet day."""
    conn.execute(
        text(
            "INSERT INTO ops.flags (name, value, changed_by) VALUES (:name, :value, 'system')"
            " ON CONFLICT (name) DO NOTHING"
        ),
        [{"name": flag.value, "value": value} for flag, value in DEFAULTS.items()],
    )
