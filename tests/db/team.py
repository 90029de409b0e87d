"""A service over real HTTP that takes what the team, or one person, is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson
from pydantic import SecretStr

from jobs.core.settings import Settings

KEY = "a9f8e7d6c5b4a3f2"
PASSWORD = "hunter2hunter2"


@dataclass
class Team:
    """A service that takes notices as JSON at two addresses, and what it is to answer at each."""

    port: int = 0
    got: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    status: dict[str, int] = field(default_factory=dict)

    def url(self, name: str) -> str:
        return f"json://desk:{PASSWORD}@127.0.0.1:{self.port}/{name}/{KEY}"

    def told(self, name: str) -> list[object]:
        return [body["title"] for path, body in self.got if path.startswith(f"/{name}/")]


@contextmanager
def a_team() -> Iterator[Team]:
    """The service, answering for as long as the block lasts."""
    found = Team()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.got.append((self.path, orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(found.status.get(self.path.split("/")[1], 200))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def with_channels(settings: Settings, *urls: str) -> Settings:
    return settings.model_copy(update={"notice_urls": tuple(SecretStr(url) for url in urls)})
