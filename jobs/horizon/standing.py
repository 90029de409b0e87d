"""How far each server has come, as far as anybody has seen, and whether it is frozen: kept in `ops.horizon_servers`."""

from __future__ import annotations

from sqlalchemy import text

from jobs.core.db import Database
from jobs.horizon.model import Frozen, Root

_HIGHEST = text("SELECT highest_ledger FROM ops.horizon_servers WHERE server = :server")
# A server on another network says nothing about how far ours has come: it must not raise the highest ledger.
_NOTE = text("""
INSERT INTO ops.horizon_servers AS s (server, highest_ledger, frozen_at, frozen_reason)
VALUES (:server, CAST(:ledger AS bigint), CASE WHEN CAST(:reason AS text) IS NULL THEN NULL ELSE clock_timestamp() END,
        :reason)
ON CONFLICT (server) DO UPDATE
SET highest_ledger = GREATEST(s.highest_ledger, EXCLUDED.highest_ledger),
    frozen_at = CASE WHEN EXCLUDED.frozen_reason IS NULL THEN NULL ELSE COALESCE(s.frozen_at, EXCLUDED.frozen_at) END,
    frozen_reason = EXCLUDED.frozen_reason, updated_at = clock_timestamp()
""")


def highest_ledger(db: Database, server: str) -> int | None:
    """The highest ledger that a server was ever seen at; None: it was never seen."""
    with db.read() as conn:
        highest: int | None = conn.execute(_HIGHEST, {"server": server}).scalar()
    return highest


def note_root(db: Database, root: Root, frozen: Frozen | None) -> None:
    """Remembers where a server stands, and freezes or thaws it."""
    right_network = frozen is None or frozen.signal != "network"
    parameters = {
        "server": root.server,
        "ledger": root.latest_ledger if right_network else None,
        "reason": None if frozen is None else frozen.reason,
    }
    with db.begin() as conn:
        conn.execute(_NOTE, parameters)
