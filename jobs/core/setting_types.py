"""Kinds of settings that pydantic does not know: each with what is accepted, in words, and never with what was given."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from jobs.core.quiet_hours import QuietHours, read_quiet_hours


def _hours(value: Any) -> Any:
    return read_quiet_hours(value) if isinstance(value, str) else value


def _zone(value: str) -> str:
    try:
        return ZoneInfo(value).key
    except (KeyError, ValueError, OSError):
        raise ValueError("accepted is a time zone like UTC or Europe/Berlin") from None


def _for_a_person(value: SecretStr) -> SecretStr:
    written = value.get_secret_value()
    if written and not ("{email}" in written and re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", written)):
        raise ValueError("accepted is an address as Apprise writes it, with {email} in it: mailto://…?to={email}")
    return value


def _secret_web(value: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(value.get_secret_value() or "https://none")
    except ValueError:  # a bracket out of place, in words that repeat it
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("accepted is an address like https://hc-ping.com/…")
    return value


Hours = Annotated[tuple[QuietHours, ...], NoDecode, BeforeValidator(_hours)]
Zone = Annotated[str, AfterValidator(_zone)]
PersonAddress = Annotated[SecretStr, AfterValidator(_for_a_person)]
"""An address of Apprise's with a place for a person's; empty where there is none."""
SecretWebAddress = Annotated[SecretStr, AfterValidator(_secret_web)]
"""An address on the web that is a secret as a whole; empty where there is none."""
