"""Whom a step of an escalation means, and on which channels they are told. Pure.

Nothing is ever told to nobody: what means a person who cannot be told, a role that nobody has, a channel that is gone or
a rota without anybody goes to the team, and says whom it was meant for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from jobs.alerts.escalate import ON_CALL, Target
from jobs.alerts.rota_store import OnCall

TEAM = "team"


@dataclass(frozen=True, slots=True)
class AddressBook:
    """Who could be told at an instant: the team's channels, who is on call, and who has which role."""

    team: tuple[str, ...]
    channel_of: Callable[[str], str] | None
    """The name of the channel of a person by their address; None where single people cannot be told."""
    on_call: Sequence[OnCall]
    people: Mapping[str, str]
    """The open accounts: address and name."""
    roles: Mapping[str, Sequence[str]]
    """The addresses of the open accounts that have a role."""


@dataclass(frozen=True, slots=True)
class Recipients:
    """The channels, each once, and the sentences that the team reads where it is told instead of somebody."""

    channels: tuple[str, ...]
    instead: tuple[str, ...]


def recipients(targets: Iterable[Target], book: AddressBook) -> Recipients:
    """On which channels these are told; never on none while the team has one."""
    channels: list[str] = []
    instead: list[str] = []
    for target in targets:
        found, missing = _of(target, book)
        channels += found
        if missing:
            channels += book.team
            instead += missing
    return Recipients(tuple(dict.fromkeys(channels)), tuple(dict.fromkeys(instead)))


def _of(target: Target, book: AddressBook) -> tuple[list[str], list[str]]:
    """The channels of one target, and whom the team is told instead of."""
    kind, _, name = target.to.partition(":")
    if target.to == TEAM:
        return list(book.team), []
    if target.to == ON_CALL:
        return _on_call(target.place, book)
    if kind == "channel" and name in book.team:
        return [name], []
    if kind == "role":
        emails = book.roles.get(name, ())
        return _people(emails, book) if emails else ([], [f"This is for the role {name}, which nobody has."])
    if kind == "person":
        if name not in book.people:
            return [], [f"This is for {name}, who has no open account."]
        return _people([name], book)
    return [], [f"This is for “{target.to}”, which is nobody."]


def _on_call(place: int, book: AddressBook) -> tuple[list[str], list[str]]:
    if not book.on_call:
        return [], ["This is for whoever is on call, and nobody is."]
    # Without a second rota the first is called again.
    who = book.on_call[min(place, len(book.on_call)) - 1]
    if who.fault is not None:
        return [], [f"This is for whoever is on call, but {who.fault}."]
    if book.channel_of is None or not who.email:
        return [], [f"This is for {who.name}, who is on call."]
    return [book.channel_of(who.email)], []


def _people(emails: Sequence[str], book: AddressBook) -> tuple[list[str], list[str]]:
    if book.channel_of is not None:
        return [book.channel_of(email) for email in emails], []
    names = ", ".join(book.people.get(email, email) for email in emails)
    return [], [f"This is for {names}."]
