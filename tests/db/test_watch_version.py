"""watch-version keeps what the application says it is, and fails in a sentence when it says nothing."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.settings import Settings
from tests.db.books import run_job


@pytest.fixture
def application() -> Iterator[list[object]]:
    """An application whose health says the first of these; its address is the second."""
    says: list[object] = [{"status": "ok", "version": "2.4.0"}]

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(says[0]).encode())

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Health)
    Thread(target=server.serve_forever, daemon=True).start()
    says.append(f"http://127.0.0.1:{server.server_port}")
    yield says
    server.shutdown()


def test_each_version_is_kept_once(db: Database, settings: Settings, application: list[object]) -> None:
    settings = settings.model_copy(update={"app_url": application[1]})
    found = []
    for version in ("2.4.0", "2.4.0", "2.5.0"):
        application[0] = {"version": version}
        found.append(run_job(db, settings, "watch-version").counters["new"])
    assert found == [1, 0, 1]
    with db.read() as conn:
        versions = conn.execute(text("SELECT version FROM ops.app_versions ORDER BY 1")).scalars().all()
    assert versions == ["2.4.0", "2.5.0"]
    application[0] = {"status": "ok"}
    silent = run_job(db, settings, "watch-version")
    assert silent.state == "failed"
    assert "without a field “version”" in (silent.error or "")
