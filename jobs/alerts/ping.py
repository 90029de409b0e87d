"""The dead man's ping: a call to an address outside, which tells people when it stops coming.

Nothing here can tell anybody that nothing here works any more. It is called when the alerts have been evaluated, so it
stops with whatever keeps them from that: worker, schedule, database, or the evaluation itself.
"""

from __future__ import annotations

import urllib.request
from http.client import HTTPException
from urllib.error import HTTPError
from uuid import uuid4

from jobs.core.jobs import Run
from jobs.run.lease import Lease

EVERY_S = 60.0
TIMEOUT_S = 5.0
LEASE = "ping"


def ping(run: Run) -> None:
    """Calls NEXAOPS_PING_URL, once a minute by all workers together; that it was not taken is a warning of the run."""
    address = run.settings.ping_url.get_secret_value()
    if not address:
        return
    with run.db.begin() as conn:
        # Nobody renews it: for a minute it belongs to a call that is over.
        if not Lease(LEASE, uuid4(), EVERY_S).hold(conn):
            return
    why = call(address)
    if why is not None:
        run.warning("the ping outside was not taken", why=why)


def call(address: str) -> str | None:
    """None once it was taken, otherwise why not: never in the words of an error, which repeat the address."""
    request = urllib.request.Request(address, headers={"User-Agent": "nexaops"})  # noqa: S310 - http(s), by the settings
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S):  # noqa: S310
            return None
    except HTTPError as error:
        return f"it answers {error.code}"
    except (OSError, HTTPException, ValueError):
        return "it gives no answer, or none in time"
