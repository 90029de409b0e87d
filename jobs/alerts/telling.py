"""Puts what is due to be told of alerts into the outbox, in the transaction in which that is decided.

What is decided of an alert is written by one conditional update of its row, and only whose row it changed is told of: of
two that decide at the same moment, or after a kill, each step is put in exactly once, and the outbox tells it at least
once. On each channel, what falls due together is one notice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from jobs.alerts.escalate import due
from jobs.alerts.notices import ALERT, SEND_NOTICE, put
from jobs.alerts.recipients import AddressBook, Recipients, recipients
from jobs.alerts.rota_store import read_on_call
from jobs.alerts.store import alerts_of, list_rules, list_silences
from jobs.alerts.wording import Telling, body_of, title_of, worst_first
from jobs.core import audit
from jobs.core.settings import Settings
from jobs.run.store import crowded, request_run

ACTOR = "system"
_ORIGIN = "alerts"
_LONGEST = 300
"""Characters of a title: longer ones some services cut in the middle of a character, or refuse."""

_TO_LOOK_AT = text("""
    SELECT id FROM ops.alerts
     WHERE (state = 'firing' AND acknowledged_at IS NULL AND folded_into IS NULL)
        OR (state = 'resolved' AND NOT told_resolved AND told_at IS NOT NULL)
""")
_TOLD = text("""
    UPDATE ops.alerts a
       SET step = d.step, told_at = :now, told_resolved = (d.kind = 'resolved'),
           reminders = a.reminders + CASE WHEN d.kind = 'reminder' THEN 1 ELSE 0 END
      FROM unnest(CAST(:ids AS bigint[]), CAST(:kinds AS text[]), CAST(:steps AS int[]), CAST(:seen_steps AS int[]),
                  CAST(:seen_reminders AS int[])) AS d (id, kind, step, seen_step, seen_reminders)
     WHERE a.id = d.id AND a.step = d.seen_step AND a.reminders = d.seen_reminders AND NOT a.told_resolved
       AND a.state = CASE WHEN d.kind = 'resolved' THEN 'resolved' ELSE 'firing' END
       AND (a.state = 'resolved' OR (a.acknowledged_at IS NULL AND a.folded_into IS NULL))
    RETURNING a.id
""")
_WHO_WAS_TOLD = text("""
    SELECT DISTINCT alert.id, n.channel
      FROM unnest(CAST(:ids AS bigint[])) AS alert (id) JOIN ops.notices n ON n.alerts @> ARRAY[alert.id]
     ORDER BY alert.id, n.channel
""")


def put_due(conn: Connection, settings: Settings, now: datetime) -> list[str]:
    """Puts in what is due at `now` (the database's clock), asks for a run that sends it, and returns the notices' keys.

    Without a channel of the team nothing is told and nothing counts as told: it is as soon as there is one.
    """
    if not settings.notice_urls:
        return []
    tellings = _changed(conn, _find(conn, settings, now), now)
    if not tellings:
        return []
    book = _address_book(conn, settings, now)
    told = _recipients(conn, tellings, book)
    audit.record_many(conn, [_row(one, told[one.alert.id].channels) for one in tellings])
    keys = [
        _put(conn, settings, group, channels, told, now)
        for kind in ("step", "reminder", "resolved")
        for group, channels in _grouped([one for one in tellings if one.due.kind == kind], told)
    ]
    # A run of its own, because a channel that does not answer must not keep the next evaluation waiting. Where too many
    # wait already the next of the schedule sends it.
    if crowded(conn, SEND_NOTICE) is None:
        request_run(conn, job=SEND_NOTICE, actor=ACTOR, origin=_ORIGIN, reason=f"tells {', '.join(keys[:3])}")
    return list(dict.fromkeys(keys))


def _find(conn: Connection, settings: Settings, now: datetime) -> list[Telling]:
    ids = conn.execute(_TO_LOOK_AT).scalars().all()
    if not ids:
        return []
    rules, silences = {rule.name: rule for rule in list_rules(conn)}, list_silences(conn)
    found = []
    for alert in alerts_of(conn, ids):
        rule = rules.get(alert.rule)
        if rule is None:  # its end was told and it was deleted, both since the alerts were looked up
            continue
        what = due(
            alert,
            rule,
            silenced=any(one.covers(alert.rule, alert.subject, now) for one in silences),
            quiet=any(hours.cover(alert.severity, now, settings.oncall_zone) for hours in settings.quiet_hours),
            now=now,
        )
        if what is not None:
            found.append(Telling(alert, rule, what))
    return found


def _changed(conn: Connection, tellings: Sequence[Telling], now: datetime) -> list[Telling]:
    """Those whose row is still as it was read, and now says that this was told."""
    if not tellings:
        return []
    changed = conn.execute(
        _TOLD,
        {
            "now": now,
            "ids": [one.alert.id for one in tellings],
            "kinds": [one.due.kind for one in tellings],
            "steps": [one.due.step for one in tellings],
            "seen_steps": [one.alert.step for one in tellings],
            "seen_reminders": [one.alert.reminders for one in tellings],
        },
    )
    ours = set(changed.scalars())
    return worst_first([one for one in tellings if one.alert.id in ours])


def _address_book(conn: Connection, settings: Settings, now: datetime) -> AddressBook:
    # Apprise is 0.2 s of imports, which only an evaluation that tells has to pay.
    from jobs.alerts.channels import channels_of, person_channel  # noqa: PLC0415

    roles: dict[str, list[str]] = defaultdict(list)
    people = {}
    for row in conn.execute(text("SELECT email, name, roles FROM ops.people WHERE disabled_at IS NULL ORDER BY email")):
        people[row.email] = row.name
        for role in row.roles:
            roles[role].append(row.email)
    return AddressBook(
        team=tuple(channel.name for channel in channels_of(settings)),
        channel_of=person_channel if settings.person_url.get_secret_value() else None,
        on_call=read_on_call(conn, now),
        people=people,
        roles=roles,
    )


def _recipients(conn: Connection, tellings: Sequence[Telling], book: AddressBook) -> dict[int, Recipients]:
    """By alert; that it is over goes to those who were told, and to the team where none of them can be any more."""
    could = {*book.team, *(book.channel_of(email) for email in book.people if book.channel_of is not None)}
    before: dict[int, list[str]] = defaultdict(list)
    over = [one.alert.id for one in tellings if one.due.kind == "resolved"]
    for row in conn.execute(_WHO_WAS_TOLD, {"ids": over}) if over else ():
        if row.channel in could:
            before[row.id].append(row.channel)
    return {
        one.alert.id: Recipients(tuple(before[one.alert.id]) or book.team, ())
        if one.due.kind == "resolved"
        else recipients(one.due.targets, book)
        for one in tellings
    }


def _grouped(tellings: Sequence[Telling], told: dict[int, Recipients]) -> list[tuple[list[Telling], list[str]]]:
    """Each channel gets one notice: what it is told of, with the channels that are told of the same."""
    by_channel: dict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(tellings):
        for channel in told[one.alert.id].channels:
            by_channel[channel].append(place)
    channels_of_group: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for channel, places in by_channel.items():
        channels_of_group[tuple(places)].append(channel)
    return [([tellings[place] for place in places], channels) for places, channels in channels_of_group.items()]


def _put(
    conn: Connection,
    settings: Settings,
    group: Sequence[Telling],
    channels: Sequence[str],
    told: dict[int, Recipients],
    now: datetime,
) -> str:
    # The worst alert's next step, reminder or end comes once: so does a notice under its name.
    first, numbers = group[0], [one.alert.id for one in group]
    key = f"{ALERT}{first.alert.id}-{_which(first)}"
    instead = list(dict.fromkeys(sentence for number in numbers for sentence in told[number].instead))
    body = body_of(group, instead, now, settings.dashboard_url)
    put(conn, key, title_of(group, now)[:_LONGEST], body, channels, actor=ACTOR, origin=_ORIGIN, alerts=numbers)
    return key


def _which(one: Telling) -> str:
    match one.due.kind:
        case "step":
            return f"step-{one.due.step}"
        case "reminder":
            return f"reminder-{one.alert.reminders + 1}"
        case "resolved":
            return "resolved"


def _row(one: Telling, channels: Sequence[str]) -> audit.AuditRow:
    new = {"what": _which(one), "channels": list(channels)}
    return audit.AuditRow(ACTOR, "alert.told", "alert", str(one.alert.id), _ORIGIN, new=new)
