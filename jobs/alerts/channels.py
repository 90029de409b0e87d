"""The channels of the team and of single people: addresses of the settings, sent to by Apprise, which knows a hundred.

A person's is called `person ada@nexafx.com`: the name alone stands in the outbox, and whoever sends makes the address of
it by NEXAOPS_PERSON_URL.

An address is a secret from one end to the other: what stands where others have a host may be a key. So nothing here ever
repeats one, and neither do Apprise's own log lines, which stay in this file: of a failure only its status goes on.
"""

from __future__ import annotations

import logging
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote

from apprise import Apprise, AppriseAsset, NotifyBase, NotifyFormat

from jobs.core.errors import SettingsError
from jobs.core.logs import get_logger
from jobs.core.settings import Settings

log = get_logger(__name__)
_THEIRS = logging.getLogger("apprise")
_THEIRS.propagate = False  # its words repeat addresses
_ALONE = threading.Lock()
_PERSON = "person "
_ASSET = AppriseAsset(app_id="NexaFX Ops", app_desc="NexaFX Ops", app_url="", async_mode=False, secure_logging=True)


@dataclass(frozen=True, slots=True)
class Channel:
    """One address: `name` is what people may read of it, such as `slack://` or `json://hooks.example`."""

    name: str
    address: str = field(repr=False)

    def send(self, title: str, body: str) -> str | None:
        """Sends plain text; None once the service has taken it, otherwise why not in a few words. Never raises."""
        sender = _sender(self.address)
        if sender is None:
            return f"Apprise knows no such address: correct it in {'NEXAOPS_PERSON_URL' if self.name.startswith(_PERSON) else 'NEXAOPS_NOTICE_URLS'}"
        both = Apprise(asset=_ASSET)
        both.add(sender)
        with _statuses() as answered:
            try:
                taken = both.notify(title=title, body=body, body_format=NotifyFormat.TEXT)
            except Exception as error:  # noqa: BLE001 - the boundary: a hundred services may fail in any way
                log.warning("a channel broke", channel=self.name, error=type(error).__name__)
                return f"it broke ({type(error).__name__})"
        if taken:
            return None
        return f"it answers {answered[-1]}" if answered else "it gives no answer, or none in time"


def channels_of(settings: Settings) -> tuple[Channel, ...]:
    """The channels of the settings in their order; two that read the same are numbered."""
    seen: Counter[str] = Counter()
    found = []
    for secret in settings.notice_urls:
        address = secret.get_secret_value()
        name = _name(address)
        seen[name] += 1
        found.append(Channel(name if seen[name] == 1 else f"{name} ({seen[name]})", address))
    return tuple(found)


def person_channel(email: str) -> str:
    """The name of somebody's own channel."""
    return f"{_PERSON}{email}"


def find_channel(settings: Settings, name: str) -> Channel | None:
    """The channel of that name; None if the settings lead to none."""
    template = settings.person_url.get_secret_value()
    if name.startswith(_PERSON) and template:
        return Channel(name, template.replace("{email}", quote(name.removeprefix(_PERSON), safe="@")))
    return next((channel for channel in channels_of(settings) if channel.name == name), None)


def require_channels(settings: Settings) -> tuple[Channel, ...]:
    """The same; SettingsError if there is none."""
    found = channels_of(settings)
    if not found:
        demo = "the demo tells nobody" if settings.demo else "set NEXAOPS_NOTICE_URLS, such as slack://…"
        raise SettingsError(f"There is no channel on which the team could be told: {demo}.")
    return found


def _sender(address: str) -> NotifyBase | None:
    sender: NotifyBase | None = Apprise.instantiate(address, asset=_ASSET, suppress_exceptions=True)
    return sender


def _name(address: str) -> str:
    """Scheme and host; the scheme alone of a service that is no server of somebody's own."""
    # Not by urlsplit, which refuses a password with a bracket in it, in words that repeat it.
    scheme = address.partition("://")[0].lower()
    sender = _sender(address)
    if sender is None:
        return f"{scheme}://"
    if scheme in ("http", "https"):  # the address of a service as its own pages show it
        own = sender.secure_protocol or sender.protocol or scheme
        scheme = own if isinstance(own, str) else own[0]
    return f"{scheme}://{sender.host if 'host' in sender.template_tokens and sender.host else ''}"


@contextmanager
def _statuses() -> Iterator[list[str]]:
    """The HTTP statuses in what Apprise says meanwhile, one sender at a time: it answers with yes or no alone."""
    found: list[str] = []

    class Reader(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.extend(re.findall(r"\berror=([1-5]\d\d)\b", record.getMessage()))

    reader = Reader(logging.WARNING)
    with _ALONE:
        _THEIRS.addHandler(reader)
        try:
            yield found
        finally:
            _THEIRS.removeHandler(reader)
