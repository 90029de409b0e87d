"""Switchable faults: what may go wrong between us and a Horizon server, each by name and with a value.

A fault can be limited to paths that begin with a prefix, and to a number of answers after which it ends by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from jobs.core.errors import UsageError


class FaultName(StrEnum):
    """Every fault; `KINDS` says what its value means."""

    LATENCY = "latency"
    RATE_LIMIT = "rate-limit"
    STILL_INGESTING = "still-ingesting"
    STALE_HISTORY = "stale-history"
    SERVICE_UNAVAILABLE = "service-unavailable"
    PLAIN_503 = "plain-503"
    TIMEOUT = "timeout"
    SUBMIT_TIMEOUT = "submit-timeout"
    HANG = "hang"
    RESET = "reset"
    TRUNCATED = "truncated"
    HTML = "html"
    ERROR_RATE = "error-rate"
    ALL_404 = "all-404"
    WRONG_NETWORK = "wrong-network"
    FROZEN = "frozen"
    LAG = "lag"
    INGEST_LAG = "ingest-lag"
    REGRESS = "regress"
    RETENTION = "retention"
    LOAD_BALANCER = "load-balancer"
    CORE_DOWN = "core-down"
    PROTOCOL_AHEAD = "protocol-ahead"
    STATUS_PAGE = "status-page"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a fault does, what its value counts, and the value taken when none is given (None: it has no value)."""

    does: str
    value: str = ""
    default: str | None = None


KINDS: Mapping[FaultName, Kind] = {
    FaultName.LATENCY: Kind("every answer waits", "milliseconds", "500"),
    FaultName.RATE_LIMIT: Kind(
        "X-RateLimit-* on every answer and 429 beyond the budget", "requests per hour[,burst]", "3600"
    ),
    FaultName.STILL_INGESTING: Kind("503 still_ingesting"),
    FaultName.STALE_HISTORY: Kind("503 stale_history"),
    FaultName.SERVICE_UNAVAILABLE: Kind("503 service_unavailable"),
    FaultName.PLAIN_503: Kind("503 in plain text, as from a proxy"),
    FaultName.TIMEOUT: Kind("504 timeout"),
    FaultName.SUBMIT_TIMEOUT: Kind("a submission answers 504, and is included all the same"),
    FaultName.HANG: Kind("no answer for that long", "seconds", "3600"),
    FaultName.RESET: Kind("the connection is reset"),
    FaultName.TRUNCATED: Kind("JSON that ends in the middle"),
    FaultName.HTML: Kind("200 with a page of HTML"),
    FaultName.ERROR_RATE: Kind("that share of answers is 503 or 504, spread evenly", "percent", "20"),
    FaultName.ALL_404: Kind("404 for everything but the root and health, as on a wrong base address"),
    FaultName.WRONG_NETWORK: Kind("root names another network", "passphrase", "Another Network ; 2026"),
    FaultName.FROZEN: Kind("no ledger closes by itself"),
    FaultName.LAG: Kind("history is that many ledgers behind core", "ledgers", "10"),
    FaultName.INGEST_LAG: Kind("ingestion is that many ledgers behind history", "ledgers", "5"),
    FaultName.REGRESS: Kind("the whole server has gone back that many ledgers", "ledgers", "100"),
    FaultName.RETENTION: Kind("history holds only that many ledgers", "ledgers", "12"),
    FaultName.LOAD_BALANCER: Kind("every second answer is from a server that many ledgers behind", "ledgers", "3"),
    FaultName.CORE_DOWN: Kind("health is 503: core is up but not in sync"),
    FaultName.PROTOCOL_AHEAD: Kind("the network's protocol is newer than the server's"),
    FaultName.STATUS_PAGE: Kind("the status page shows an incident, whatever is so", "indicator", "minor"),
}
_NUMBERS = {kind for kind in FaultName if KINDS[kind].default and KINDS[kind].value not in ("passphrase", "indicator")}


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that is switched on; `times` None has no end."""

    name: FaultName
    value: str = ""
    path: str = "/"
    times: int | None = None

    @property
    def number(self) -> float:
        return float(self.value.partition(",")[0])

    @property
    def ledgers(self) -> int:
        return int(self.number)


class Faults:
    """The faults of one sandbox; switched from any thread, read by the one that answers."""

    def __init__(self, *specs: str) -> None:
        self._lock = threading.Lock()
        self._active: dict[FaultName, Fault] = {}
        for spec in specs:
            name, _, value = spec.partition("=")
            self.set(name, value or None)

    def set(self, name: str, value: str | float | None = None, *, path: str = "/", times: int | None = None) -> Fault:
        """Switch a fault on, or over. `UsageError` for a name or a value that does not exist."""
        try:
            known = FaultName(name)
        except ValueError:
            raise UsageError(f"There is no fault {name!r}; there are {', '.join(FaultName)}.") from None
        kind = KINDS[known]
        if value is not None and kind.default is None:
            raise UsageError(f"The fault {name} takes no value.")
        text = kind.default or "" if value is None else str(value)
        if known in _NUMBERS and not _all_numbers(text):
            raise UsageError(f"The fault {name} takes {kind.value}, not {text!r}.")
        if times is not None and times < 1:
            raise UsageError("A fault lasts for at least one answer.")
        fault = Fault(known, text, path, times)
        with self._lock:
            self._active[known] = fault
        return fault

    def clear(self, name: str | None = None) -> None:
        """Switch one fault off, or all of them; off already is fine."""
        with self._lock:
            if name is None:
                self._active.clear()
            else:
                self._active = {key: fault for key, fault in self._active.items() if key != name}

    def active(self) -> list[Fault]:
        with self._lock:
            return list(self._active.values())

    def on(self, name: FaultName, path: str = "/") -> Fault | None:
        """The fault, when it is on for this path; does not use it up."""
        fault = self._active.get(name)
        return fault if fault and path.startswith(fault.path) else None

    def take(self, name: FaultName, path: str) -> Fault | None:
        """The fault, when it is on for this path; one answer of its `times` is used up."""
        if not self._active:
            return None
        with self._lock:
            fault = self.on(name, path)
            if fault and fault.times is not None:
                if fault.times == 1:
                    del self._active[name]
                else:
                    self._active[name] = Fault(name, fault.value, fault.path, fault.times - 1)
            return fault


def _all_numbers(text: str) -> bool:
    return all(part.strip().replace(".", "", 1).isdigit() for part in text.split(","))
