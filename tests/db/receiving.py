"""An HTTP server that takes whatever is posted and keeps it, as a collector of traces or errors would."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Received:
    """The address, and what has come to it: paths with bodies, unpacked, and the headers of GETs."""

    url: str = ""
    posted: list[tuple[str, bytes]] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)

    def wait(self, found: Callable[[], bool], seconds: float = 10) -> None:
        """Until it is so; fails if it never is."""
        deadline = time.monotonic() + seconds
        while not found():
            assert time.monotonic() < deadline, f"came: {self.posted}"
            time.sleep(0.02)


@contextmanager
def receiving() -> Iterator[Received]:
    """Such a server for the time of the block; a GET is answered 503."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            received.posted.append((self.path, gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body))
            self._answer(200)

        def do_GET(self) -> None:
            received.asked.append({name.lower(): value for name, value in self.headers.items()})
            self._answer(503)

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        received.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield received
        server.shutdown()
