"""Errors for whoever collects them with Sentry: of runs and of pages, without secrets and without anybody's name.

Off, and not even imported, until `SENTRY_DSN` is set; then the package of `nexaops[sentry]` has to be there. Nothing is
hooked into the process: what is sent is what we hand over, with no variables, arguments, requests or breadcrumbs, and
with secrets and e-mail addresses taken out of whatever text there is.
"""

# ruff: noqa: PLC0415 - who has not configured it does not pay for it
from __future__ import annotations

import atexit
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

from jobs.core.errors import SettingsError
from jobs.core.logs import get_logger, redact_value
from jobs.core.settings import Settings

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

log = get_logger(__name__)
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
_LEAVE_S = 2.0
_on = False


def start_sentry(settings: Settings, *, component: str) -> None:
    """Has this process report its errors, if the settings say where. Raises SettingsError if it cannot."""
    global _on  # noqa: PLW0603 - of the process, like Sentry's own client
    dsn = settings.sentry_dsn.get_secret_value()
    if not dsn:
        return
    try:
        import sentry_sdk
        from sentry_sdk.utils import BadDsn
    except ImportError as error:
        raise SettingsError(
            "SENTRY_DSN is set, but what reports errors is not installed: run `pip install 'nexaops[sentry]'`,"
            " or leave the setting out."
        ) from error
    try:
        sentry_sdk.init(
            dsn,
            release=f"nexaops@{version('nexaops')}",
            environment=settings.app_env,
            default_integrations=False,
            auto_session_tracking=False,
            enable_backpressure_handling=False,
            send_client_reports=False,
            include_local_variables=False,
            before_send=_without_secrets,
        )
    except BadDsn:
        raise SettingsError(
            "SENTRY_DSN is not accepted: accepted is an address like https://KEY@sentry.example/PROJECT."
        ) from None
    sentry_sdk.set_tag("component", component)
    atexit.register(sentry_sdk.flush, _LEAVE_S)
    _on = True


def report_error(error: BaseException, tags: Mapping[str, object]) -> None:
    """Reports an error that was caught, with where it was raised."""
    if _on:
        import sentry_sdk

        with _harmless():
            sentry_sdk.capture_exception(error, tags=_texts(tags))


def report_failure(
    kind: str, message: str, *, trace: str | None, group: Sequence[str], tags: Mapping[str, object]
) -> None:
    """Reports what is known of an error of another process: its class, its message and its trace as texts.

    Failures of one `group` are one issue there.
    """
    if _on:
        import sentry_sdk

        event: Event = {
            "level": "error",
            "exception": {"values": [{"type": kind, "value": message}]},
            "fingerprint": list(group),
            "extra": {"trace": trace},
        }
        with _harmless():
            sentry_sdk.capture_event(event, tags=_texts(tags))


@contextmanager
def _harmless() -> Iterator[None]:
    """What is reported has been written down already: that it cannot be reported stops nobody."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in there
        log.warning("an error could not be reported", reason=type(error).__name__)


def _texts(tags: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in tags.items() if value is not None}


def _without_secrets(event: Event, _hint: Hint) -> Event:
    for name in ("user", "request", "breadcrumbs"):
        event.pop(name, None)  # type: ignore[misc]
    for name, value in list(event.items()):
        event[name] = _without_people(redact_value(name, value))  # type: ignore[literal-required]
    return event


def _without_people(value: object) -> object:
    if isinstance(value, str):
        return _EMAIL.sub("[e-mail]", value)
    if isinstance(value, dict):
        return {name: _without_people(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_people(item) for item in value]
    return value
