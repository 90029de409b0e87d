"""A transaction's story: its head in one sentence, what comes next, and every moment in the order of time.

Pure but for the reader's own zone: rows come in, sentences go out. What one database transaction did has one time, so
its status, entries, notification and closed cases stand under one moment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from dashboard.components.actors import who
from dashboard.components.compare import detail
from dashboard.components.markup import Html, join, link, show, tag, url
from dashboard.components.money_words import (
    booked_words,
    brief,
    failure_words,
    kind_words,
    look_words,
    plain,
    reason_words,
    short_address,
)
from dashboard.components.numbers import amount_text, money
from dashboard.components.states import shape
from dashboard.components.times import both, city, clock, local_zone
from dashboard.queries_story import Announced, Audited, Decided, Entry, Look, Story, Told
from jobs.probes.attention import moment, span
from jobs.probes.model import JobFacts

_PROVED = {
    "success": "Proved on the chain",
    "failed": "Proved as failed",
    "rescue": "Rescued: it had succeeded after all",
    "accepted": "Accepted as it was found",
    "marked_failed": "Marked as failed",
    "cancelled": "Cancelled",
    "linked": "Linked to another hash",
}

_HASH = re.compile(r"\b[0-9a-f]{64,72}\b")
_UNITS = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Said:
    """One line of a story: how it is judged, what happened, and the quiet details of it."""

    tone: str
    what: object
    note: object = ""


def headline(story: Story, now: datetime) -> str:
    """The one sentence: what became of it, when, and what that did to the money."""
    it = story.transaction
    kind = kind_words(it.type)
    start = f"This {kind} of {amount_text(it.amount)} {it.currency} by {it.email}"
    if it.status == "CANCELLED":
        return f"{start} was cancelled, {moment(it.updated_at, now)}."
    if it.status == "FAILED":
        return f"{start} failed: {failure_words(it.failure_reason)}. {_refunded(story, now)}"
    if it.status == "SUCCESS":
        return f"{start} is {'confirmed' if it.type == 'DEPOSIT' else 'paid'}: {_included(story, now)}."
    if story.open_cases:
        return f"{start} waits for a decision: {reason_words(story.open_cases[-1].reason).lower()}."
    waited = span((now - it.created_at).total_seconds())
    waits = "for proof from the chain" if it.type in ("DEPOSIT", "WITHDRAW") else "for the application"
    return f"{start} is pending: it has waited {waited} {waits}."


def _included(story: Story, now: datetime) -> str:
    it, settled = story.transaction, story.settled
    credited = next((entry for entry in story.entries if entry.kind == "DEPOSIT_CREDIT"), None)
    money_moved = (
        "the amount was debited when it was requested"
        if it.type == "WITHDRAW"
        else "credited" if credited is not None else "nothing was posted for it by this desk"
    )  # fmt: skip
    ledger = _number(settled.proof.get("ledger")) if settled else None
    if settled is None or ledger is None:
        return f"settled at {moment(it.updated_at, now)}, {money_moved}"
    closed = _time(settled.proof.get("closed_at"))
    at = f" at {moment(closed, now)}" if closed else ""
    if closed and credited is not None and credited.created_at >= closed:
        later = (credited.created_at - closed).total_seconds()
        money_moved = f"credited {span(later)} later" if later >= 1 else "credited within a second"
    return f"it was included in ledger {ledger}{at} and {money_moved}" if credited else (
        f"it was included in ledger {ledger}{at}; {money_moved}"
    )  # fmt: skip


def _refunded(story: Story, now: datetime) -> str:
    refund = next((entry for entry in story.entries if entry.kind == "WITHDRAW_REFUND"), None)
    if refund is not None:
        return f"The amount was refunded, {moment(refund.created_at, now)}."
    if story.transaction.type == "WITHDRAW" and any(entry.kind == "WITHDRAW_DEBIT" for entry in story.entries):
        return "It was debited, and no refund is booked."
    return "No money moved."


def what_next(story: Story, job: JobFacts | None, switched_off: bool, now: datetime) -> Html:
    """What happens now: the next look for a pending row, the case for one that waits for a person; nothing otherwise."""
    it = story.transaction
    if it.status != "PENDING":
        return Html("")
    if it.type not in ("DEPOSIT", "WITHDRAW"):
        return join("This desk does not settle it: the application does.")
    looked = _looked(story)
    if story.open_cases:
        case = story.open_cases[-1]
        return join(looked, "It goes on being looked at, and the case closes by itself when proof arrives. ",
                    link(f"Case {case.id}", url("cases", case=case.id), class_="nx-link nx-inline"), ".")  # fmt: skip
    if switched_off:
        return join(looked, "Nobody looks at it now: enableReconciliation is off.")
    if job is None or not job.enabled:
        return join(looked, "Nobody looks at it by itself: reconcile-pending has no schedule.")
    if job.paused_at is not None:
        until = f"until {moment(job.paused_until, now)}" if job.paused_until else "until it is resumed"
        return join(looked, f"Nobody looks at it now: reconcile-pending is paused {until}.")
    due = story.check.next_at if story.check else now
    not_before = f", not before {moment(due, now)}" if due > now + timedelta(seconds=30) else ""
    return join(looked, f"The next look comes with reconcile-pending, {job.every}{not_before}.")


def _looked(story: Story) -> Html:
    check = story.check
    if check is None:
        return join("Nobody has looked at it yet. ")
    tries = "" if check.attempts == 1 else f" ({check.attempts} looks in a row)"
    return join(f"{look_words(check.look.outcome, check.look.detail)}{tries}. ")


def moments(story: Story, *, audit: bool) -> list[tuple[datetime, list[Said]]]:
    """Everything that happened, oldest first, what happened in one instant together."""
    it = story.transaction
    found: list[tuple[datetime, Said]] = [
        (
            it.created_at,
            Said(
                "none",
                join(f"{kind_words(it.type).capitalize()} of ", _created_with(story), " created"),
                it.email,
            ),
        )
    ]
    opened = {(case.opened_at, case.reason): case for case in story.cases}
    found += [
        (it.at, _decided(it)) for it in story.decisions if it.verdict != "case" or (it.at, it.reason) not in opened
    ]
    found += [(entry.created_at, _booked(entry)) for entry in story.entries if entry.account_type == "USER"]
    found += [(told.created_at, _told(told)) for told in story.notifications]
    found += [_announced(event) for event in story.events if event.attempts]
    for case in story.cases:
        said = join(tag("div", brief(detail(case.details, "sentence") or "", 300)), evidence(case.details))
        number = link(f"Case {case.id}", url("cases", case=case.id), class_="nx-link nx-inline")
        found.append(
            (case.opened_at, Said("warn", join(number, f" opened: {reason_words(case.reason).lower()}"), said))
        )
        if case.resolved_at is not None:
            closed = join("by ", who(case.resolved_by), ": ", brief(case.resolution or "", 300))
            ended = f" waits until {both(case.quiet_until)}" if case.quiet_until is not None else " closed"
            found.append((case.resolved_at, Said("ok", join(number, ended), closed)))
    found += [(look.first_at, _seen(look, last=False)) for look in story.looks]
    if story.check is not None and (story.settled is None or story.check.look.last_at != story.settled.at):
        found.append((story.check.look.last_at, _seen(story.check.look, last=True)))
    if audit:
        found += [(row.at, _audited(row)) for row in story.audit]
    order = sorted(found, key=lambda pair: pair[0])  # stable: within an instant as listed above
    grouped: list[tuple[datetime, list[Said]]] = []
    for at, line in order:
        if grouped and grouped[-1][0] == at:
            grouped[-1][1].append(line)
        else:
            grouped.append((at, [line]))
    return grouped


def _created_with(story: Story) -> Html:
    """The amount that was expected: a payment that was accepted as found has replaced it in the row."""
    it = story.transaction
    accepted = next((one for one in story.decisions if one.verdict == "accepted"), None)
    expected = accepted.proof.get("expected") if accepted is not None else None
    if isinstance(expected, Mapping):
        asset, amount = detail(expected, "asset"), detail(expected, "amount")
        if asset and amount and _UNITS.fullmatch(amount):
            return money(Decimal(amount), asset.partition(":")[0])
    return money(it.amount, it.currency)


def timeline(found: Sequence[tuple[datetime, Sequence[Said]]]) -> None:
    """Draws the moments."""
    show(
        tag(
            "ol",
            *(
                tag(
                    "li",
                    tag("div", clock(at), _local(at), class_="nx-when"),
                    tag("div", *(_line(said) for said in lines), class_="nx-happened"),
                )
                for at, lines in found
            ),
            class_="nx-story",
        )
    )


def _local(at: datetime) -> Html | str:
    zone = local_zone()
    here = at.astimezone(zone)
    if here.utcoffset() == at.astimezone(UTC).utcoffset():
        return ""
    return tag("div", f"{here:%H:%M} {city(zone)}", class_="nx-note")


def _line(said: Said) -> Html:
    note = tag("div", said.note, class_="nx-note") if said.note else ""
    return tag("div", shape(said.tone), tag("div", tag("div", said.what), note), class_="nx-said")


def _decided(it: Decided) -> Said:
    words = _PROVED.get(it.verdict) or (
        f"Waits for a person: {reason_words(it.reason).lower()}" if it.verdict == "case" else plain(it.verdict)
    )
    by = join("by ", who(it.decided_by)) if it.run_id is None else join("by ", who(f"run:{it.run_id}"), f" of {it.job}")
    proof = evidence(it.proof)
    risk = detail(it.proof, "risk")
    by = join(by, f". {risk.rstrip('.')}") if risk else by
    if it.dry_run:
        return Said(
            "none",
            join("Dry run, nothing was changed: ", words[:1].lower() + words[1:]),
            join(by, proof and ". ", proof),
        )
    tone = {
        "success": "ok",
        "rescue": "ok",
        "accepted": "ok",
        "failed": "critical",
        "marked_failed": "critical",
        "case": "warn",
    }.get(it.verdict, "none")
    return Said(tone, words, join(by, proof and ". ", proof))


def evidence(proof: Mapping[str, object]) -> Html:
    """What a proof stands on: server, ledger, what the chain said, and the requests that showed it."""
    server, ledger = detail(proof, "server"), _number(proof.get("ledger"))
    closed = _time(proof.get("closed_at"))
    place = [f"Horizon {server.rpartition('://')[2]}"] if server else []
    place += [f"ledger {ledger}"] if ledger else []
    place += [f"closed {both(closed)}"] if closed else []
    result = detail(proof, "result")
    requests = proof.get("requests")
    asked = [proof.get("request"), *(requests[:6] if isinstance(requests, list) else ())]
    return join(
        f"{', '.join(place)}. " if place else "",
        join("It said ", tag("span", result, class_="nx-mono"), ". ") if result else "",
        *(tag("div", _short(one), class_="nx-mono") for one in asked if isinstance(one, str)),
    )


def _short(request: str) -> str:
    return _HASH.sub(_cut, brief(request, 200))


def _cut(hash_: re.Match[str]) -> str:
    return short_address(hash_[0])


def _number(value: object) -> str | None:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else None


def _booked(entry: Entry) -> Said:
    credit = entry.direction == "CREDIT"
    amount = join("+" if credit else "−", money(entry.amount, entry.currency))
    around = (
        ""
        if entry.before is None or entry.after is None
        else join(
            "balance before: ", money(entry.before, entry.currency), ", after: ", money(entry.after, entry.currency)
        )
    )
    return Said("ok" if credit else "none", join(booked_words(entry.kind), ": ", amount), around)


def _told(told: Told) -> Said:
    read = f"read {both(told.read_at)}" if told.read_at else "not read yet"
    return Said("none", join("The user was told: ", brief(told.message, 200)), read)


def _announced(event: Announced) -> tuple[datetime, Said]:
    """What became of an event, at the moment that tells it: where none was ever tried there is no receiver."""
    tries = "1 try" if event.attempts == 1 else f"{event.attempts} tries"
    why = brief(event.error or "", 200).rstrip(".")
    if event.sent_at is not None:
        return event.sent_at, Said("ok", f"Event {event.kind} delivered", tries)
    if event.dead_at is not None:
        return event.dead_at, Said("critical", f"Event {event.kind} given up after {tries}", why)
    coming = join(f"{tries}, the next not before ", both(event.next_at), f". {why}" if why else "")
    return event.created_at, Said("warn", f"Event {event.kind} waits for the other system", coming)


def _seen(look: Look, *, last: bool) -> Said:
    """What looks found, how often, and where the last of them asked for what; the line stands at the other end's time."""
    words = look_words(look.outcome, look.detail)
    other = f"since {both(look.first_at)}" if last else f"until {both(look.last_at)}"
    counted = "Seen once" if look.times == 1 else f"Seen {look.times:,} times {other}"
    place = f" on {brief(look.server).rpartition('://')[2]}" if look.server else ""
    place += f" at ledger {look.ledger:,}" if look.ledger else ""
    newest = "" if look.times == 1 else "last "
    by = join(f", {newest}by ", who(f"run:{look.run_id}")) if look.run_id else ""
    asked = tag("div", _short(look.request), class_="nx-mono") if look.request else ""
    return Said(
        "none",
        f"{'Last look' if last else 'Look'}: {words[:1].lower()}{words[1:]}",
        join(f"{brief(look.detail, 300).rstrip('.')}. {counted}", place, by, ".", asked),
    )


def _audited(row: Audited) -> Said:
    old, new = row.old or {}, row.new or {}
    changed = [f"{key} {_plain(old[key])} → {_plain(new[key])}" for key in old if key in new and old[key] != new[key]]
    what = ", ".join([plain(row.action).lower(), *changed])
    origin = f" ({row.origin})" if row.origin else ""
    return Said("none", tag("span", f"Audit {row.id}: {what} by ", who(row.actor), origin, class_="nx-note"))


def _plain(value: object) -> str:
    return "none" if value is None else brief(str(value), 60)


def _time(value: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
