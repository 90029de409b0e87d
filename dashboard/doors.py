"""Who may come through which door: the rules of the gate, without any I/O.

Everything is closed unless it is listed here. Header names are compared as an ASGI server may hand them on: any case,
hyphen or underscore.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

Headers = list[tuple[bytes, bytes]]

COOKIE = "nexaops_session"
PERSON_HEADER = b"x-nexaops-person"
SESSION_HEADER = b"x-nexaops-session"
ADDRESS_HEADER = b"x-nexaops-address"
HEALTH = frozenset({"/health", "/health/scheduled-jobs"})
METRICS = "/metrics"
API = "/api"
LOGIN, LOGOUT, PASSWORD = "/login", "/logout", "/password"
WALL = "/wall/"
_ICONS = frozenset(f"/assets/icon-{state}.svg" for state in ("ok", "warn", "critical", "gone"))
# What the login page and the wall view need; nothing in it tells anything about the desk.
OPEN_ASSETS = _ICONS | {
    "/assets/login.css", "/assets/wall.css", "/assets/wall.js", "/assets/ages.js", "/assets/text.woff2", "/favicon.png",
}  # fmt: skip
STREAM = "/_stcore/stream"
# Streamlit's own figures and its API for programs: of no use to a person, so closed to everybody.
SHUT = ("/_stcore/metrics", "/_stcore/agent/", "/_stcore/script-health-check")
_LONGEST_TOKEN = 64
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

SECURITY_HEADERS: Mapping[str, str] = {
    # Streamlit styles elements inline and plotly draws into blobs; scripts come from this server only.
    "content-security-policy": (
        "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:;"
        " font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'self';"
        " form-action 'self'; frame-ancestors 'none'"
    ),
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
# Its address is its key: it goes nowhere; and the page needs nothing that Streamlit needs.
_WALL_HEADERS: Mapping[str, str] = {
    **SECURITY_HEADERS,
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
}


def is_open(path: str, *, public_metrics: bool) -> bool:
    """Whether a path answers without a session."""
    return path in HEALTH or path in OPEN_ASSETS or path in (LOGIN, LOGOUT) or (public_metrics and path == METRICS)


def is_shut(path: str) -> bool:
    """Whether a path answers nobody."""
    return any(path == door.rstrip("/") or (door.endswith("/") and path.startswith(door)) for door in SHUT)


def is_wall(path: str, method: str) -> bool:
    """Whether a request looks at the wall view, which knows its own links and changes nothing."""
    return path.startswith(WALL) and method in ("GET", "HEAD")


def security_headers(path: str) -> Mapping[str, str]:
    """What every answer under a path tells the browser."""
    return _WALL_HEADERS if path.startswith(WALL) else SECURITY_HEADERS


def to_log(path: str) -> str:
    """A path as it may stand in a log: without the key that the wall's has in it."""
    return f"{WALL}…" if path.startswith(WALL) else path


def is_api(path: str) -> bool:
    """Whether a path belongs to the API, which asks for a token itself and takes no session for one."""
    return path.startswith(f"{API}/")


def without_identity(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The headers without any that could be taken for the gate's own."""
    ours = {PERSON_HEADER, SESSION_HEADER, ADDRESS_HEADER}
    return [(name, value) for name, value in headers if name.lower().replace(b"_", b"-") not in ours]


def address_of(client: Sequence[object] | None) -> str | None:
    """A client's address as the server knows it, behind a proxy as that says; None if it is none."""
    try:
        return str(ipaddress.ip_address(str(client[0]))) if client else None
    except ValueError:
        return None


def origin(door: str, address: str | None) -> str:
    """From where something was done, for the audit trail: through which door, and from which address if that is known."""
    return f"{door} {address}" if address else door


def find(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    """A header's first value."""
    return next((value.decode("latin-1") for key, value in headers if key.lower() == name), None)


def session_token(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The session's token from the cookies.

    None if there are two of that name: one of them was planted by a neighbour on the same host; and none that is
    longer than any of ours, because the gate remembers what it looked up.
    """
    found = {
        value.strip()
        for key, line in headers
        if key.lower() == b"cookie"
        for part in line.decode("latin-1").split(";")
        for name, _, value in [part.partition("=")]
        if name.strip() == COOKIE
    }
    token = found.pop() if len(found) == 1 else ""
    return token if 0 < len(token) <= _LONGEST_TOKEN else None


def is_same_site(headers: Headers, *, needs_proof: bool) -> bool:
    """Whether a request comes from our own pages.

    A browser says so in `Sec-Fetch-Site` and in `Origin`, which scripts cannot forge. `needs_proof`: a request that
    says neither is refused, for what changes something.
    """
    site, origin, host = find(headers, b"sec-fetch-site"), find(headers, b"origin"), find(headers, b"host")
    if site is not None and site not in ("same-origin", "none"):
        return False
    if origin is not None:
        return origin in (f"https://{host}", f"http://{host}")
    return site is not None or not needs_proof


def host_allowed(host: str | None, *, address: str, names: tuple[str, ...]) -> bool:
    """Whether the name a browser used is one of ours; anything else is a rebound name.

    Without configured names a server that listens on the loopback knows its own; one that listens to the world does not,
    and takes any.
    """
    if host is None:
        return False
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    if name is None:
        return False
    if name in _LOCAL_NAMES or name == address or name in names:
        return True
    return not names and not _is_loopback(address)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def local_path(path: str | None) -> str:
    """Where to go after signing in: a path on this server, whatever was asked for; else the start page."""
    if path is None or not path.startswith("/") or path.startswith(("//", "/\\")) or any(ord(c) < 33 for c in path):
        return "/"
    parts = urlsplit(path)
    return path if not parts.scheme and not parts.netloc and "\\" not in path else "/"
