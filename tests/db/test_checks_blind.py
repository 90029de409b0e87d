"""A check that cannot see never passes: whatever is away, empty or not configured, it says so and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

import pytest
from sqlalchemy import URL

from checklists.checks.registry import list_checks
from jobs.core.db import Database
from jobs.core.settings import Settings
from tests.db.looking import FAILED, UNABLE, look

REQUIRED: Mapping[str, Mapping[str, object]] = {
    "alerts.rule": {"rule": "database"},
    "backup.archive": {"pattern": "incident-*"},
    "books.invariants": {"within": "1h"},
    "commands.artifact": {"command": "build"},
    "commands.gather": {"command": "build"},
    "commands.run": {"command": "build"},
    "composite.all": {"checks": [{"use": "database.connection"}, {"use": "horizon.root"}]},
    "documents.links": {"title": "dashboards"},
    "documents.section": {"title": "runbook"},
    "flags.equals": {"flag": "enableReconciliation", "value": "true"},
    "forge.reviewed": {"path": "scheduled-jobs.service.ts"},
    "runs.completed": {"template": "disaster-recovery"},
    "settings.one_of": {"name": "STELLAR_RPC_URL", "accepted": ["PUBLIC"]},
    "settings.present": {"names": ["DB_HOST"]},
}
# They look at the host or the settings themselves, which are always there.
ALWAYS_SEEN = {
    "resources.cpu",
    "resources.memory",
    "resources.disk",
    "resources.disk_io",
    "settings.secrets",
    "logs.canary",
}
# On a database that was migrated and has never been used, these have something to look at.
SEEN_WHEN_NEW = ALWAYS_SEEN | {
    "database.connection", "database.growth", "database.indexes", "database.migrations", "database.privileges", "database.schema",
    "database.sessions", "database.size", "database.restored", "flags.equals", "flags.switches", "jobs.next_run",
    "jobs.registered",
}  # fmt: skip


@pytest.fixture
def away() -> Iterator[Database]:
    """A server that nobody answers at."""
    database = Database(URL.create("postgresql+psycopg", "nobody", "a-password-of-mine", "127.0.0.1", 9, "nexafx"))
    yield database
    database.close()


@pytest.mark.parametrize("name", sorted(set(list_checks()) - ALWAYS_SEEN))
def test_nothing_passes_while_everything_is_away(name: str, away: Database, settings: Settings) -> None:
    blind = settings.model_copy(update={"status_page_url": "http://127.0.0.1:9", "horizon_timeout_s": 0.5})
    found = look(away, blind, name, timeout_s=10, **REQUIRED.get(name, {}))
    assert found.verdict in (FAILED, UNABLE), found
    assert found.mend, "and what to do about it is said"
    assert "Traceback" not in found.summary
    assert "a-password-of-mine" not in str(found)
    assert "broke" not in found.summary, found


def test_a_new_desk_has_proved_nothing_about_its_running(db: Database, settings: Settings) -> None:
    blind = settings.model_copy(update={"status_page_url": "http://127.0.0.1:9", "horizon_timeout_s": 0.5})
    seen = {
        name: look(db, blind, name, started=timedelta(minutes=5), timeout_s=10, **REQUIRED.get(name, {}))
        for name in list_checks()
        if name not in ALWAYS_SEEN
    }
    good = {name: found.summary for name, found in seen.items() if found.verdict not in (FAILED, UNABLE)}
    assert set(good) <= SEEN_WHEN_NEW, good
    assert [name for name, found in seen.items() if "broke" in found.summary] == []
    assert [name for name, found in seen.items() if name not in good and not found.mend] == []
