"""A package whose jobs are broken is named with its reason wherever one looks, and takes nothing else down."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from dashboard import health
from dashboard.desk import open_desk
from jobs import doctor
from jobs.core import jobs
from jobs.core.db import Database
from jobs.core.errors import NotFound
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from jobs.probes.diagnosis import Finding
from jobs.schedule.broken import broken_jobs
from jobs.upgrade import upgrade
from tests.db.books import run_job, value
from tests.db.conftest import ROOT, serving
from tests.db.packages import install
from tests.db.test_cli import nexaops
from tests.ui import seed
from tests.ui.desk import run_page, seen

_JOB = """
from jobs.core.jobs import Cron, Every, Params, job
@job(name="{name}", title="t", does="Does nothing.", schedule={schedule}, timeout_s={timeout_s}, params=Params)
def work(run, params): ...
"""
MODULES = {
    "acme_lost.py": f"{_JOB.format(name='acme-half', schedule=None, timeout_s=10)}\nimport acme_client_of_nobody\n",
    "acme_leaves.py": "import sys\nsys.exit('no licence, token=abcdefgh')\n",
    "acme_twice.py": _JOB.format(name="backup", schedule=None, timeout_s=10),
    "acme_never.py": _JOB.format(name="acme-never", schedule=None, timeout_s=0),
    "acme_cron.py": _JOB.format(name="acme-cron", schedule="Cron('61 2 * * *')", timeout_s=10),
    "acme_good.py": _JOB.format(name="acme-good", schedule="Every(60)", timeout_s=10),
}
REASONS = {
    "lost": "ModuleNotFoundError: No module named 'acme_client_of_nobody'",
    "leaves": "SystemExit: no licence, token=[secret]",
    "twice": "ValueError: two jobs are called backup: rename one of them",
    "never": "ValueError: acme-never needs a timeout_s of at least 1, and retries of at least 0",
    "unpacked": "ModuleNotFoundError: No module named 'acme_unpacked'",
}


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on this process's module path with all of them."""
    folder = tmp_path / "packages"
    folder.mkdir()
    entries = {name: f"acme_{name}" for name in (*REASONS, "cron", "good")}
    install(folder, "acme-desk", MODULES, entries)
    monkeypatch.syspath_prepend(folder)
    jobs._import_modules.cache_clear()
    yield folder
    jobs._import_modules.cache_clear()
    for module in [name for name in sys.modules if name.startswith("acme_")]:
        del sys.modules[module]


@pytest.mark.usefixtures("packages")
def test_each_is_named_with_its_reason_and_the_others_are_there() -> None:
    found = {it.name: it for it in broken_jobs()}
    cron = found.pop("acme-cron")
    assert {name: it.reason for name, it in found.items()} == REASONS
    assert found["lost"].module == "acme_lost"
    assert cron.reason.startswith("its schedule cannot be read: '61 2 * * *' is not a cron expression")
    known = jobs.load_jobs()
    assert {"acme-good", "acme-cron", "backup", "reconcile-pending"} <= known.keys()
    assert "acme-half" not in known, "half of a module is none of it"
    assert known["backup"].function.__module__ == "jobs.upkeep.backup"
    with pytest.raises(NotFound, match=r"There is no job acme-half: .*lost \(acme_lost\) is broken: ModuleNotFound"):
        jobs.find_job("acme-half")


@pytest.mark.usefixtures("packages")
def test_what_it_shares_a_desk_with_is_migrated_scheduled_and_runs(db: Database, settings: Settings) -> None:
    upgrade(db)
    assert value(db, "SELECT count(*) FROM ops.schedules WHERE name = 'acme-good'") == 1
    assert value(db, "SELECT count(*) FROM ops.schedules WHERE name IN ('acme-half', 'acme-never', 'acme-cron')") == 0
    assert run_job(db, settings, "cleanup-notifications").state == "succeeded"
    assert run_job(db, settings, "acme-cron").state == "succeeded"


@pytest.mark.usefixtures("packages")
def test_the_page_names_it_and_shows_the_others(db: Database, settings: Settings) -> None:
    seed.living(db)
    page = run_page(
        db, settings.model_copy(update={"horizon_urls": seed.SERVERS}), "jobs", seed.person(db, Role.VIEWER)
    )
    assert not page.exception
    said = seen(page)
    assert "<b>lost is broken</b>: ModuleNotFoundError: No module named &#x27;acme_client_of_nobody&#x27;" in said
    assert "abcdefgh" not in said
    assert "reconcile-pending" in said


@pytest.mark.usefixtures("packages")
def test_the_doctor_fails_and_says_what_shows_the_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "configure_logging", lambda *_, **__: None)
    monkeypatch.setenv("DB_HOST", "127.0.0.1")
    monkeypatch.setenv("DB_PORT", "9")
    monkeypatch.setenv("STELLAR_HORIZON_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("STELLAR_NETWORK", "TESTNET")
    lines = [line for line in doctor.examine() if line.check == "jobs"]
    assert {line.finding for line in lines} == {Finding.FAIL}
    assert len(lines) == len(REASONS) + 1
    assert any(line.mend is not None and "python -c 'import acme_lost'" in line.mend for line in lines)


@pytest.mark.usefixtures("packages")
def test_health_says_broken_without_saying_too_much(db: Database, settings: Settings) -> None:
    seed.living(db)
    desk = settings.model_copy(update={"horizon_urls": seed.SERVERS})
    open_desk(desk, db)
    with serving(Starlette(routes=health.routes(desk, db))) as base, httpx.Client(base_url=base) as client:
        answer = client.get("/health/scheduled-jobs")
    assert answer.status_code == 503
    assert answer.json()["jobs"]["lost"] == {"ok": False, "state": "broken", "module": "acme_lost"}
    assert "acme_client_of_nobody" not in answer.text


def test_the_list_ends_with_it_and_stays_json(db: Database, packages: Path, tmp_path: Path) -> None:
    environment = {
        "PYTHONPATH": f"{packages}:{ROOT}",
        "DB_HOST": str(db.url.query["host"]),
        "DB_NAME": str(db.url.database),
        "STELLAR_HORIZON_URL": "http://127.0.0.1:9",
        "STELLAR_NETWORK": "TESTNET",
    }
    done = nexaops("jobs", "list", "--json", cwd=tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    rows = {row["job"]: row for row in json.loads(done.stdout)}
    assert rows["lost"]["broken"] == REASONS["lost"]
    assert rows["backup"]["broken"] is None
    assert len({frozenset(row) for row in rows.values()}) == 1, "every row has the same keys"
    done = nexaops("jobs", "run", "cleanup-notifications", "--wait", "--json", cwd=tmp_path, **environment)
    assert (done.returncode, json.loads(done.stdout)["state"]) == (0, "succeeded")
