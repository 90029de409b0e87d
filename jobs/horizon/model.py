"""What a Horizon server said, as frozen values without any I/O.

The client fills them, the rules of reconciliation read them. Amounts are stroops (`int`, 10⁻⁷ of a unit), times are
aware and UTC, accounts are base accounts (`G…`); a multiplexed id stands beside its account, `None` where the address
was not multiplexed — an id of 0 is an id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Root:
    """The answer of `GET /`: where a server stands and on which network."""

    server: str
    horizon_version: str
    core_version: str
    network_passphrase: str
    latest_ledger: int
    latest_closed_at: datetime
    elder_ledger: int
    core_ledger: int
    ingest_ledger: int
    protocol: int
    supported_protocol: int
    server_time: datetime | None
    """The response's `Date` header: the clock to measure the ledger's age against."""
    latency_ms: float


@dataclass(frozen=True, slots=True)
class Health:
    """The answer of `GET /health`; a server with any of them false answers 503."""

    database_connected: bool
    core_up: bool
    core_synced: bool

    @property
    def well(self) -> bool:
        return self.database_connected and self.core_up and self.core_synced


@dataclass(frozen=True, slots=True)
class FeeStats:
    """The answer of `GET /fee_stats`; fees in stroops, capacity as a share of one."""

    last_ledger: int
    capacity_usage: str
    base_fee: int
    charged_p50: int
    charged_p95: int
    max_fee_p95: int


@dataclass(frozen=True, slots=True)
class Watermark:
    """How far a server had ingested when it was asked: the only clock that a proof may use."""

    server: str
    ledger: int
    closed_at: datetime
    elder_ledger: int
    elder_closed_at: datetime | None
    """When the oldest ledger it keeps closed; None: not known, and then retention proves nothing."""
    behind: bool
    """Lag or age at *warn* or worse: no proof of "never" while it is so."""
    keeps_all: bool = True
    """False: it forgets by design, so that what is older than it keeps is nobody's case."""


@dataclass(frozen=True, slots=True)
class Asset:
    """An asset by code and issuer; native is `Asset("XLM", None)`."""

    code: str
    issuer: str | None


@dataclass(frozen=True, slots=True)
class Address:
    """A receiver or sender: base account, and the id of a multiplexed address."""

    account: str
    muxed_id: int | None = None


@dataclass(frozen=True, slots=True)
class Memo:
    """`kind` is none, text, id, hash or return; `value` as Horizon shows it (hash and return in base64)."""

    kind: str
    value: str | None


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of an included transaction that may have paid somebody.

    `received` is what the destination got, in stroops: the result's amount for path payments and merges, never the
    source amount; None where nothing was received (a claimable balance that was only created, or no payment at all).
    """

    index: int
    kind: str
    source: Address
    destination: Address | None = None
    asset: Asset | None = None
    received: int | None = None
    claimants: tuple[str, ...] = ()
    offered: int | None = None
    """The amount of a created claimable balance, in stroops: offered, and received only by whoever claims it."""
    balance_id: str | None = None
    """Of a claimable balance that was created or claimed: its id as Horizon shows it, hex, lower case."""


@dataclass(frozen=True, slots=True)
class ChainTransaction:
    """A transaction that a server listed as included, decoded from envelope and result."""

    asked: str
    canonical: str
    """The inner hash of a fee-bump, else the hash: the key under which a payment counts once."""
    outer: str | None
    successful: bool
    ledger: int
    closed_at: datetime
    memo: Memo
    operations: tuple[Operation, ...]
    result_code: str
    operation_codes: tuple[str, ...]
    """Why it failed, operation by operation; empty for a success."""
    hash_proved: bool
    """The envelope, hashed again under the configured passphrase, gave the hash that was asked for."""


class Answer(StrEnum):
    """The kinds of answer to `/transactions/{hash}` that lead to different decisions."""

    FOUND = "found"
    ABSENT = "absent"  # 404, whatever it means
    MALFORMED = "malformed"  # 400
    GONE = "gone"  # 410 before_history
    RATE_LIMITED = "rate_limited"  # 429, or our own budget is spent
    UNAVAILABLE = "unavailable"  # 503, 504, any other status
    TIMEOUT = "timeout"
    REFUSED = "refused"  # connection refused, reset, DNS
    GARBLED = "garbled"  # not JSON, truncated, or an envelope that does not decode


@dataclass(frozen=True, slots=True)
class Lookup:
    """One look-up of one hash: what was asked of whom, and what came back."""

    asked: str
    answer: Answer
    server: str
    status: int | None
    """Of HTTP; None: there was no answer, or HTTP's status says nothing about it."""
    detail: str
    """One sentence for a person, without any secret."""
    transaction: ChainTransaction | None = None
    verb: str = "GET /transactions/"

    @property
    def request(self) -> str:
        """What was asked, as a proof says it."""
        return f"{self.verb}{self.asked}"


@dataclass(frozen=True, slots=True)
class SignedEnvelope:
    """What a row's own `envelope_xdr` says: the facts that a proof of "never" needs."""

    hashes: tuple[str, ...]
    """Outer and inner for a fee-bump, else one; hex, lower case."""
    source: str
    sequence: int
    max_time: int
    """Unix seconds, 0: never expires."""
    max_ledger: int
    """0: no bound."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """Why no answer of a server may change a transaction: it is on another network, or its ledger went backwards."""

    server: str
    signal: str
    """`network` or `regress`."""
    reason: str
    """One sentence for a person."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What an account holds, in stroops by asset, at a ledger at or past the one at which it was read."""

    account: str
    balances: Mapping[Asset, int]
    ledger: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One transaction as a page lists it, not decoded yet: most of a page is nobody's we look for."""

    token: int
    """Its TOID (SEP-35): the ledger in the upper 32 bits, the order within it below."""
    hashes: tuple[str, ...]
    """Lower case; of a fee-bump the outer and the inner one."""
    record: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Page:
    """One answer to a question for transactions, in its order; not `full`: nothing follows for now."""

    entries: tuple[Entry, ...]
    full: bool
