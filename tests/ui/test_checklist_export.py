"""A run's files come from its page as they come from the shell, and the pack verifies by itself."""

from pathlib import Path

from checklists.convert.formats import Format
from checklists.convert.verify import verify_file
from checklists.store import tick
from dashboard.components import checklist_export
from jobs.core.db import Database
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from tests.ui import seed
from tests.ui.checklist_runs import started, who
from tests.ui.desk import run_page


def test_a_run_is_exported_from_its_page(db: Database, settings: Settings, tmp_path: Path) -> None:
    person = seed.person(db, Role.DEVOPS)
    run_id = started(db)
    with db.begin() as conn:
        tick(conn, run_id, "first/index", 1, who(db, person), origin="test")
    page = run_page(db, settings, "checklist", person, id=str(run_id))
    assert not page.exception
    assert len(page.get("download_button")) == 5
    pack = tmp_path / "pack.zip"
    pack.write_bytes(checklist_export._pack(run_id))
    assert verify_file(pack).record.by_id["first/index"].state == "done"
    assert checklist_export._one(run_id, Format.PDF)().startswith(b"%PDF")
