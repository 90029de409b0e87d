"""A person at the dashboard as the server knows one: a WebSocket that speaks Streamlit's protocol, and no browser behind it.

A visit is timed from asking for a page to the word that its script, with everything it shows, has finished: the gate, the
script, its statements and the writing of its messages, over loopback. What a browser makes of them is not in it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from dashboard.doors import COOKIE, STREAM

PATIENCE_S = 30.0
_DONE = ForwardMsg.FINISHED_SUCCESSFULLY
_AGAIN = ForwardMsg.FINISHED_EARLY_FOR_RERUN


@dataclass(frozen=True, slots=True)
class Place:
    """A page with what its address asks for; `name` is its address, empty for the start page."""

    page: str
    name: str
    query: str = ""


@dataclass(frozen=True, slots=True)
class Visit:
    """One look at one page: milliseconds until it stood, bytes of the messages, and what went wrong, as a sentence."""

    place: Place
    ms: float
    bytes: int
    error: str | None = None


class Visitor:
    """One open WebSocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def forget(self) -> None:
        """Makes the server drop every remembered read, as its own menu can: what follows is answered by the database."""
        for order in (BackMsg(clear_cache=True), BackMsg(app_heartbeat=True)):
            await self._socket.send_bytes(order.SerializeToString())
        while not ForwardMsg.FromString(await self._socket.receive_bytes()).heartbeat_ack:
            pass  # what the visit before has left

    async def visit(self, place: Place) -> Visit:
        """Opens a page, as a click on its name does."""
        asked = BackMsg()
        state = asked.rerun_script
        state.page_name, state.query_string = place.name, place.query
        state.context_info.timezone, state.context_info.locale = "Europe/Berlin", "en-GB"
        began = time.perf_counter()
        size = 0
        error: str | None = None
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._socket.send_bytes(asked.SerializeToString())
                while True:
                    content = await self._socket.receive_bytes()
                    size += len(content)
                    message = ForwardMsg.FromString(content)
                    error = error or _said(message)
                    if message.WhichOneof("type") == "script_finished" and message.script_finished != _AGAIN:
                        if message.script_finished != _DONE:
                            error = error or "its script did not finish"
                        break
        except TimeoutError:
            error = f"it did not stand within {PATIENCE_S:.0f} s"
        except (TypeError, aiohttp.ClientError) as lost:  # what aiohttp raises where a WebSocket was closed meanwhile
            error = f"the connection was lost: {lost}"
        return Visit(place, (time.perf_counter() - began) * 1000, size, error)


def _said(message: ForwardMsg) -> str | None:
    """What a page tells instead of a part that failed."""
    if message.WhichOneof("type") == "page_not_found":
        return "there is no such page"
    element = message.delta.new_element
    kind = element.WhichOneof("type")
    if kind == "exception":
        return element.exception.message or element.exception.type
    if kind == "alert" and element.alert.format == element.alert.ERROR:
        return element.alert.body
    return None


@asynccontextmanager
async def a_visitor(http: aiohttp.ClientSession, address: str, cookie: str) -> AsyncIterator[Visitor]:
    """Somebody in whose session the cookie was given, for the time of the block."""
    headers = {"cookie": f"{COOKIE}={cookie}", "origin": address}
    # Compressed, as browsers ask for it: that is work of the server's, too. Bytes are counted as they were before.
    async with http.ws_connect(
        f"{address}{STREAM}", headers=headers, protocols=("streamlit",), compress=15, max_msg_size=0
    ) as socket:
        yield Visitor(socket)
