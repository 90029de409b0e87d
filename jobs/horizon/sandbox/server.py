"""The sandbox as a server: in a thread of a test, or alone in a process."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from jobs.core.errors import NexaError
from jobs.horizon.sandbox.app import build_app
from jobs.horizon.sandbox.faults import Faults
from jobs.horizon.sandbox.journal import Journal
from jobs.horizon.sandbox.ledger import KEEP, SandboxLedger
from jobs.horizon.sandbox.network import LEDGER_INTERVAL_S

LOCALHOST = "127.0.0.1"
START_S = 10.0


class _Connections:
    """Open connections by client address, so that one can be reset from inside a request."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], asyncio.Transport] = {}
        connections = self._open

        class Protocol(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
                connections[transport.get_extra_info("peername")] = transport
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                connections.pop(self.transport.get_extra_info("peername"), None)
                super().connection_lost(exc)

        self.protocol = Protocol

    def reset(self, client: tuple[str, int]) -> None:
        """Close with RST: lingering for no time throws away what was not sent."""
        if transport := self._open.get(client):
            raw = transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()


class _Server(uvicorn.Server):
    """Ends at SIGTERM and SIGINT with a clean exit: uvicorn's own would raise the signal again afterwards."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _listen(host: str, port: int) -> socket.socket:
    """A bound socket; `NexaError` when the port cannot be had."""
    # With the protocol named, asyncio turns Nagle off on its connections; without, every second answer waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # from now on a client waits instead of being refused
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise NexaError(f"Port {port} is taken by another program; name another with --port.") from error
        raise NexaError(f"The sandbox cannot listen on {host}:{port} ({error.strerror}).") from error
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()
    return f"http://{host}:{port}"


def _server(ledger: SandboxLedger, faults: Faults, *, close_by_itself: bool) -> _Server:
    connections = _Connections()
    app = build_app(ledger, faults, close_by_itself=close_by_itself, reset=connections.reset)
    config = uvicorn.Config(
        app,
        http=connections.protocol,
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        # uvicorn's own header may be a second old, and a ledger must not close after the answer that names it.
        date_header=False,
        timeout_graceful_shutdown=1,
    )
    return _Server(config)


class SandboxServer:
    """A sandbox in a thread of its own, on a free port: `with SandboxServer() as sandbox: … sandbox.url`.

    Ledgers close by hand (`sandbox.ledger.close_ledger()`) unless `close_by_itself`; submissions then close one at once.
    """

    def __init__(
        self,
        ledger: SandboxLedger | None = None,
        faults: Faults | None = None,
        *,
        port: int = 0,
        close_by_itself: bool = False,
    ) -> None:
        self.ledger = ledger or SandboxLedger()
        self.faults = faults or Faults()
        self._port = port
        self._close_by_itself = close_by_itself
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self.url = ""

    def start(self) -> None:
        """Listen and answer; raises `NexaError` when the port is taken."""
        listener = _listen(LOCALHOST, self._port)
        self.url = _address(listener)
        self._server = _server(self.ledger, self.faults, close_by_itself=self._close_by_itself)
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="sandbox-horizon", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + START_S
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise NexaError("The sandbox Horizon did not start.")
            time.sleep(0.005)

    def stop(self) -> None:
        """Stop answering; connections that hang are cut."""
        if self._server and self._thread:
            self._server.should_exit = True
            self._thread.join()
        self._server = self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def serve(
    *,
    host: str = LOCALHOST,
    port: int = 8000,
    faults: Faults | None = None,
    journal: Path | None = None,
    interval_s: float = LEDGER_INTERVAL_S,
    keep: timedelta = KEEP,
    announce: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until SIGTERM or SIGINT; `announce` is told the address.

    Raises `NexaError` when the port or the journal cannot be used.
    """
    listener = _listen(host, port)
    ledger = SandboxLedger(interval_s=interval_s, keep=keep, journal=Journal(journal) if journal else None)
    announce(_address(listener))
    _server(ledger, faults or Faults(), close_by_itself=True).run([listener])
