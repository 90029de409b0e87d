"""The line on top of every page: which network, how things stand, who is called, what is switched off, how old this is, what time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import streamlit as st
from sqlalchemy.exc import SQLAlchemyError

from dashboard import queries, queries_oncall
from dashboard.access import guarded_fragment
from dashboard.components.markup import Html, join, link, show, tag, url
from dashboard.components.states import chip
from dashboard.components.times import age, both, city, local_zone, now
from dashboard.desk import desk
from jobs.alerts.rota_store import OnCall
from jobs.core.people import Person

ASSETS = Path(__file__).parents[1] / "assets"
LOGO = str(ASSETS / "icon-ok.svg")


def top_line(person: Person) -> None:
    """Draws the line; it renews itself every ten seconds."""
    with st.container(key="nx-top", horizontal=True, vertical_alignment="center", gap="small"):
        _standing()
        with st.popover(_initials(person), key="nx-account", help="Your account", type="tertiary"):
            show(_account(person))


@guarded_fragment(run_every=10, parallel=False)
def _standing() -> None:
    label = desk().settings.network_label
    network = tag("span", label, class_=f"nx-network nx-net-{label.lower()}", title=_NETWORKS[label])
    try:
        found, on_call = queries.standing(), queries_oncall.on_call_now()
    except SQLAlchemyError:
        gone = chip("critical", "the database does not answer")
        show(_line("critical", "no database", now(), network, gone, _clock()))
        return
    count = len(found.outlook.urgent)
    show(
        _line(
            found.state,
            found.tab,
            found.read_at,
            network,
            link(chip(found.state, f"{found.said} · {count}" if count else found.said), url("")),
            _called(on_call),
            *(link(chip("warn", f"{name} {word}"), url("flags")) for name, word in found.switched),
            tag(
                "span",
                tag("span", "data ", class_="nx-word"),
                age(found.read_at, interval_s=10),
                class_="nx-note nx-data",
            ),
            _clock(),
        )
    )


def _line(state: str, tab: str, read_at: datetime, *parts: Html) -> Html:
    """`assets/desk.js` reads the state and the title's beginning from it, for the tab; and whether it still changes."""
    return tag("div", *parts, class_="nx-top", data_worst=state, data_tab=tab, data_read=f"{read_at.timestamp():.0f}")


def _called(on_call: Sequence[OnCall]) -> Html:
    """Who is called first; a rota whose person cannot be called is a fault that somebody has to mend."""
    able = [one for one in on_call if one.fault is None]
    if not able:
        return link(chip("warn" if on_call else "none", "nobody on call"), url("contacts"))
    first = able[0]
    then = "".join(f", then {one.name}" for one in able[1:])
    title = f"{first.name}{then}" + (f"; until {both(first.until)}" if first.until else "")
    return tag(
        "span", tag("span", "on call ", class_="nx-quiet"), link(first.name, url("contacts"), title=title),
        class_="nx-oncall",
    )  # fmt: skip


_NETWORKS = {
    "PUBLIC": "The public Stellar network: this is real money.",
    "TESTNET": "Stellar's test network: no real money.",
    "CUSTOM": "A network of your own.",
    "DEMO": "The demo: a sandbox with made-up transactions in a database of its own.",
}


def _clock() -> Html:
    at, zone = now(), local_zone()
    here = at.astimezone(zone)
    same = here.utcoffset() == at.utcoffset()
    return tag(
        "span",
        tag("time", f"{at.astimezone(UTC):%H:%M:%S}", data_clock=int(at.timestamp())),
        " UTC",
        "" if same else join(
            tag("span", " · ", class_="nx-quiet"),
            tag("time", f"{here:%H:%M}", data_clock=int(at.timestamp() + (here.utcoffset() or at - at).total_seconds()),
                data_short="1"),
            tag("span", f" {city(zone)}", class_="nx-quiet"),
        ),
        class_="nx-clock nx-num",
    )  # fmt: skip


def _initials(person: Person) -> str:
    words = [part for part in person.name.split() if part[:1].isalnum()]
    return "".join(part[0].upper() for part in (words[:1] + words[1:][-1:])) or person.email[0].upper()


def _account(person: Person) -> Html:
    roles = ", ".join(sorted(role.value.replace("_", " ") for role in person.roles))
    leave = tag("form", tag("button", "Sign out", type="submit"), method="post", action="/logout")
    return tag(
        "div",
        tag("p", person.name, class_="nx-strong"),
        tag("p", person.email, class_="nx-quiet"),
        tag("p", roles, class_="nx-quiet"),
        tag("a", "Change password", href="/password"),
        leave,
        class_="nx-account",
    )
