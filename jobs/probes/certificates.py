"""probe-certificates: for how long the certificates at the settings' addresses are still valid.

Each is read from a real handshake with whoever answers there. That handshake trusts everybody: a certificate that has
expired, or that no authority has signed, is what this is there to see. Nothing is sent over the connection.
"""

from __future__ import annotations

import asyncio
import ssl
from datetime import datetime
from urllib.parse import urlsplit

from sqlalchemy import text

from jobs.core.jobs import Every, Params, Run, job
from jobs.core.settings import Settings
from jobs.probes.series import write_samples

METRIC = "certificate.days_left"
"""Below zero once it has expired; its subject is `host:port`."""
HANDSHAKE_S = 10.0
_DAY_S = 86_400
_NOT_OURS = frozenset({"status_page_url"})  # a page to read, of others: nothing ends when its certificate does

Address = tuple[str, int]


@job(
    name="probe-certificates",
    title="Look at certificates",
    does="Reads how many days the certificate of every https address in the settings is still valid.",
    schedule=Every(seconds=3600),
    timeout_s=60,
    params=Params,
)
def probe_certificates(run: Run, _params: Params) -> None:
    """Counts `certificates` and `unread`. A dry run keeps its samples too: they are measurements."""
    expiries = asyncio.run(_look_at_all(run, addresses(run.settings)))
    run.count("certificates", len(expiries))
    with run.db.begin() as conn:
        now: datetime = conn.execute(text("SELECT now()")).scalar_one()
        for subject, expires_at in expiries.items():
            days = (expires_at - now).total_seconds() / _DAY_S
            write_samples(conn, subject, {METRIC: days})
            say = run.warning if days <= 0 else run.info
            say("certificate", address=subject, expires_at=expires_at.isoformat(), days_left=round(days, 1))


def addresses(settings: Settings) -> tuple[Address, ...]:
    """Host and port of every https address that a setting holds, each once."""
    found: dict[Address, None] = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        for url in value if isinstance(value, tuple) else (value,):
            if name not in _NOT_OURS and isinstance(url, str) and url.lower().startswith("https://"):
                parts = urlsplit(url)
                found[parts.hostname or "", parts.port or 443] = None
    return tuple(found)


async def _look_at_all(run: Run, wanted: tuple[Address, ...]) -> dict[str, datetime]:
    """When each certificate expires, by `host:port`; what cannot be read is told, and is no failure of the run."""
    results = await asyncio.gather(*(_expiry(*address) for address in wanted), return_exceptions=True)
    found = {}
    for (host, port), result in zip(wanted, results, strict=True):
        subject = f"{host}:{port}"
        match result:
            case datetime():
                found[subject] = result
            case OSError() | ValueError():  # not there, no TLS, or no certificate of any sense
                run.count("unread")
                reason = f"no answer within {HANDSHAKE_S:g} s" if isinstance(result, TimeoutError) else str(result)
                run.warning("no certificate could be read", address=subject, reason=reason)
            case _:
                raise result
    return found


async def _expiry(host: str, port: int) -> datetime:
    from cryptography import x509  # noqa: PLC0415 - nine megabytes that no worker has to hold for a look an hour

    async with asyncio.timeout(HANDSHAKE_S):
        _, writer = await asyncio.open_connection(host, port, ssl=_trusting(), server_hostname=host)
    try:
        presented = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(presented or b"").not_valid_after_utc
    finally:
        writer.transport.abort()  # who ends TLS politely waits for an answer that not everybody gives


def _trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
