"""What a server is called wherever it is stored or shown: scheme, host and port.

Everything else that may stand in a configured address (credentials, a key in the path or the query) stays there.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from jobs.core.settings import Settings


def label_of(url: str) -> str:
    """Scheme, host and, if the address has one, port; never credentials, path or query."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


def rpc_label(url: str) -> str:
    """What a Stellar RPC is called: the same host may serve a Horizon too, with a budget and a breaker of its own."""
    return f"{label_of(url)} (RPC)"


def servers(settings: Settings) -> tuple[str, ...]:
    """The labels of the configured servers, in their order, each once."""
    return tuple(dict.fromkeys(label_of(url) for url in settings.horizon_urls))
