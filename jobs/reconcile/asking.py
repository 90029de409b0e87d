"""Asks one server about a batch of rows until the rules have all they want to know.

The order is part of the proof: the watermark is read before the look-ups that it dates, the canary stands before any
404 counts or a record counts as unreadable, and what a proof of "never" still lacks is asked in further rounds, each dated by its own watermark. After
such rounds the server is asked twice in a row where it stands: a load balancer with a member that is behind shows
itself there, and then nothing of the batch is believed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from jobs.core.errors import NexaError
from jobs.core.jobs import Asker
from jobs.horizon.choice import ServerFrozen, read_watermark
from jobs.horizon.client import Horizon
from jobs.horizon.decode import Undecodable, decode_envelope
from jobs.horizon.model import Answer, Entry, Lookup, SignedEnvelope, Watermark
from jobs.horizon.provider import Provider
from jobs.horizon.server import WATERMARK_S
from jobs.horizon.transport import HorizonError
from jobs.reconcile.picture import NOTHING, AccountState, Ask, Decision, Limits, Look, Picture, Row, Verdict
from jobs.reconcile.rules import decide, hash_to_ask
from jobs.reconcile.store import Held, claims_on, siblings_of

ROUNDS = 5
GIVE_UP_AFTER = 20
"""Look-ups in a row without any answer: the server is gone, and the rest of the batch can wait."""
_DOUBTFUL = (Answer.ABSENT, Answer.GARBLED)
_NO_ANSWER = (Answer.UNAVAILABLE, Answer.TIMEOUT, Answer.REFUSED, Answer.RATE_LIMITED)


@dataclass(slots=True)
class Findings:
    """What was learnt about a batch so far."""

    now: datetime
    looks: dict[str, list[Look]] = field(default_factory=dict)
    """By the hash that was asked for, lower case."""
    envelopes: dict[UUID, SignedEnvelope | None] = field(default_factory=dict)
    unreadable: set[UUID] = field(default_factory=set)
    """Rows whose envelope is needed and does not decode."""
    accounts: dict[str, AccountState | None] = field(default_factory=dict)
    claimings: dict[str, list[Lookup]] = field(default_factory=dict)
    """By the id of a claimable balance: what the server lists beside it."""
    canary: bool | None = None
    lists_nothing: bool = False
    frozen: str | None = None
    gave_up: bool = False
    """The server stopped answering, or the run has to stop: what was not asked stays as it is."""
    silent: int = 0
    """Look-ups without an answer since the last one that had one, batches before this one included."""
    spent: bool = False
    """It gave up because no more requests may be sent for now."""


async def ask_about(run: Asker, horizon: Provider, batch: Iterable[Held], now: datetime, silent: int = 0) -> Findings:
    """Everything that the rules want to know about a batch; `silent` look-ups before it had no answer.

    Raises ServerFrozen, and HorizonError when the server does not say where it stands.
    """
    findings = Findings(now, silent=silent)
    rows = list(batch)
    mark = await read_watermark(horizon)
    hashes = dict.fromkeys(asked for held in rows if (asked := hash_to_ask(held.row)) is not None)
    await _look_up(run, horizon, mark, hashes, findings)
    for _ in range(ROUNDS):
        if findings.gave_up:
            break
        # Whether it is the transaction that is absent or unreadable, or the server that says so of any.
        doubtful = any(look.lookup.answer in _DOUBTFUL for looks in findings.looks.values() for look in looks)
        if doubtful and findings.canary is None:
            canary = await horizon.canary()
            findings.canary, findings.lists_nothing = bool(canary), canary is None
        wanted = [ask for held in rows if (ask := _wanted(run, held, findings))]
        if not wanted:
            break
        try:
            await ask_about_balances(run, horizon, wanted, findings)
            await _ask_more(run, horizon, wanted, findings)
        except ServerFrozen as error:
            findings.frozen, findings.gave_up = str(error), True
        except HorizonError:
            # Inclusions that were seen are proof all the same; absences without the confirmation are none.
            findings.canary, findings.lists_nothing, findings.gave_up = False, False, True
    if not findings.gave_up:
        await _look_back(horizon, findings)
    return findings


async def ask_about_balances(run: Asker, horizon: Provider, wanted: Iterable[Ask], findings: Findings) -> None:
    """Asks what happened to claimable balances; where the server does not say, nothing did as far as anybody knows."""
    balances = sorted({balance for ask in wanted for balance in ask.balances} - findings.claimings.keys())
    places = asyncio.Semaphore(run.settings.horizon_parallel)

    async def read(balance: str) -> list[Lookup]:
        async with places:
            if run.should_stop():
                return []
            try:
                return await horizon.transactions_of_balance(balance)
            except NexaError:
                return []

    findings.claimings |= dict(zip(balances, await asyncio.gather(*map(read, balances)), strict=True))


def look_at(
    horizon: Horizon, mark: Watermark, batch: Iterable[Held], entries: Mapping[str, Entry], now: datetime
) -> Findings:
    """What pages that were read before `mark` have shown about a batch, `entries` by hash (lower case)."""
    findings = Findings(now)
    for hash_ in dict.fromkeys(held.row.hash for held in batch if held.row.hash is not None):
        findings.looks[hash_] = [Look(mark, horizon.found(hash_, entries[hash_]))]
    return findings


def picture_of(run: Asker, held: Held, findings: Findings) -> Picture:
    """All that is known about one row, but for what the books say about its hash."""
    row = held.row
    own = findings.looks.get(row.hash or "", [])
    envelope = _envelope(run, held, findings) if any(look.lookup.answer is Answer.ABSENT for look in own) else None
    looks = list(own)
    if envelope is not None and row.hash in envelope.hashes:
        looks += [look for hash_ in envelope.hashes if hash_ != row.hash for look in findings.looks.get(hash_, [])]
    account = None if envelope is None else findings.accounts.get(envelope.source)
    return Picture(
        row=row,
        now=findings.now,
        looks=tuple(looks),
        canary=bool(findings.canary),
        lists_nothing=findings.lists_nothing,
        frozen=findings.frozen,
        envelope=envelope,
        unreadable=held.row.id in findings.unreadable,
        account=account,
        account_asked=envelope is not None and envelope.source in findings.accounts,
        claimings=findings.claimings,
        limits=Limits(
            timedelta(minutes=run.settings.no_hash_after_min), timedelta(hours=run.settings.expire_unproven_after_h)
        ),
    )


def decide_all(run: Asker, network: str, batch: Iterable[Held], findings: Findings) -> list[tuple[Row, Decision]]:
    """The decision on each row, with what the books say about its hash; a row that breaks the rules is kept."""
    return [(picture.row, decide_one(run, picture)) for picture in pictures_of(run, network, batch, findings)]


def pictures_of(run: Asker, network: str, batch: Iterable[Held], findings: Findings) -> list[Picture]:
    """The picture of each row, in their order, with what the books say about its hash."""
    seen = [(picture, _hashes_of(picture)) for picture in (picture_of(run, held, findings) for held in batch)]
    times = Counter(hash_ for _, of_one in seen for hash_ in of_one)
    hashes = sorted(times)
    # Nearly every row that was found has its hashes for itself: those need not be read again to be told so.
    alone = [picture.row.id for picture, of_one in seen if of_one and all(times[hash_] == 1 for hash_ in of_one)]
    with run.db.read() as conn:
        siblings, claims = siblings_of(conn, hashes, alone), claims_on(conn, network, hashes)
    return [_with_books(picture, of_one, siblings, claims) for picture, of_one in seen]


def _with_books(
    picture: Picture, hashes: Sequence[str], siblings: Mapping[str, list[Row]], claims: Mapping[str, Mapping[int, UUID]]
) -> Picture:
    others = {other.id: other for hash_ in hashes for other in siblings.get(hash_, ()) if other.id != picture.row.id}
    held = next((claims[hash_] for hash_ in hashes if claims.get(hash_)), {})
    return replace(picture, siblings=tuple(others.values()), claims=held) if others or held else picture


def decide_one(run: Asker, picture: Picture) -> Decision:
    """The decision on one row; one that breaks the rules is kept as it is."""
    try:
        return decide(picture)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # Whatever one row holds, the others of its batch go on.
        run.error("a row cannot be judged", transaction=str(picture.row.id), why=repr(error))
        return Decision(Verdict.KEEP, "odd", f"The rules cannot judge this row: {type(error).__name__}.")


def _wanted(run: Asker, held: Held, findings: Findings) -> Ask:
    picture = picture_of(run, held, findings)
    return decide_one(run, picture).ask if picture.looks else NOTHING


def _hashes_of(picture: Picture) -> list[str]:
    """Every hash under which the books may know the transaction that was found; none if none was."""
    found = [look.lookup.transaction for look in picture.looks if look.lookup.transaction is not None]
    hashes = {hash_.lower() for each in found for hash_ in (each.canonical, each.outer) if hash_}
    return sorted(hashes | {picture.row.hash or ""}) if found else []


def _envelope(run: Asker, held: Held, findings: Findings) -> SignedEnvelope | None:
    if held.row.id not in findings.envelopes:
        try:
            text = (held.envelope_xdr or "").strip()
            decoded = decode_envelope(text, run.settings.passphrase) if text else None
        except Undecodable as error:
            run.warning("an envelope is kept that cannot be read", transaction=str(held.row.id), why=str(error))
            decoded = None
            findings.unreadable.add(held.row.id)
        findings.envelopes[held.row.id] = decoded
    return findings.envelopes[held.row.id]


async def _look_up(run: Asker, horizon: Provider, mark: Watermark, hashes: Iterable[str], findings: Findings) -> None:
    """Looks hashes up at the same time; stops early when the run has to, or when the server answers nothing any more."""
    answers = horizon.lookup_many(hashes)
    try:
        while True:
            upcoming = asyncio.ensure_future(anext(answers, None))
            while not upcoming.done():
                await asyncio.wait({upcoming}, timeout=0.5)
                if not upcoming.done() and run.should_stop():
                    upcoming.cancel()
                    await asyncio.wait({upcoming})
                    findings.gave_up = True
                    return
            lookup = upcoming.result()
            if lookup is None:
                return
            findings.looks.setdefault(lookup.asked.lower(), []).append(Look(mark, lookup))
            if lookup.answer in (*_NO_ANSWER, Answer.GARBLED):
                run.count("unanswered")
            findings.silent = findings.silent + 1 if lookup.answer in _NO_ANSWER else 0
            if findings.silent >= GIVE_UP_AFTER or run.should_stop():
                findings.gave_up = True
                findings.spent = findings.silent >= GIVE_UP_AFTER and lookup.answer is Answer.RATE_LIMITED
                return
    finally:
        await answers.aclose()


async def _ask_more(run: Asker, horizon: Provider, wanted: list[Ask], findings: Findings) -> None:
    """One more round: accounts first, so that the watermark that follows is at or past what they showed."""
    wanted = [ask for ask in wanted if ask.hashes or ask.account is not None]
    if not wanted:
        return
    accounts = sorted({ask.account for ask in wanted if ask.account is not None})
    places = asyncio.Semaphore(run.settings.horizon_parallel)
    states = await asyncio.gather(*(_read_account(run, horizon, account, places) for account in accounts))
    findings.accounts |= dict(zip(accounts, states, strict=True))
    newest = max((state.ledger for state in states if state is not None), default=0)
    mark = await read_watermark(horizon)
    for _ in range(int(WATERMARK_S) + 1):
        if mark.ledger >= newest:
            break
        await asyncio.sleep(1)  # a watermark is kept for some seconds, and the account was read after it
        mark = await read_watermark(horizon)
    hashes = dict.fromkeys(hash_ for ask in wanted for hash_ in ask.hashes)
    if not hashes:
        return
    await _look_up(run, horizon, mark, hashes, findings)
    for _ in range(2):
        root = await horizon.root()
        if horizon.frozen is not None or root.latest_ledger < mark.ledger:
            findings.frozen = "its members stand at different ledgers, so that a 404 may only be late"
            findings.gave_up = True
            return


async def _look_back(horizon: Provider, findings: Findings) -> None:
    """Whether the server is still the one that was believed: a long batch may have outlived its first watermark."""
    try:
        await read_watermark(horizon)
    except ServerFrozen as error:
        findings.frozen, findings.gave_up = str(error), True
    except HorizonError:
        return  # it stopped answering: what it showed before is proof all the same


async def _read_account(run: Asker, horizon: Provider, account: str, places: asyncio.Semaphore) -> AccountState | None:
    """How far an account's sequence number is; None if the server does not say, or the run has to stop."""
    async with places:
        if run.should_stop():
            return None
        try:
            sequence, ledger = await horizon.account_sequence(account)
        except NexaError:
            return None
    return AccountState(horizon.server, account, sequence, ledger)
