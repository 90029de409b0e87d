"""The line on top of every page: which network, how things stand, what is switched off, how old this is, what time."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import streamlit as st
from sqlalchemy.exc import SQLAlchemyError

from dashboard import queries
from dashboard.access import guarded_fragment
from dashboard.components.markup import Html, join, link, show, tag, url
from dashboard.components.states import chip
from dashboard.components.times import age, city, local_zone, now
from dashboard.desk import desk
from jobs.core.errors import NexaError
from jobs.core.people import Person
from jobs.probes.attention import Severity

ASSETS = Path(__file__).parents[1] / "assets"
LOGO = str(ASSETS / "icon-ok.svg")
_SAID = {
    Severity.CRITICAL: ("critical", "critical"),
    Severity.WARN: ("warn", "attention"),
    Severity.NOTE: ("ok", "well"),
}


def icon() -> str:
    """The favicon of the worst state, so that a tab in the background tells, too."""
    try:
        severity = queries.standing().worst
    except (SQLAlchemyError, NexaError):
        severity = Severity.CRITICAL
    name = {Severity.CRITICAL: "critical", Severity.WARN: "warn"}.get(severity or Severity.NOTE, "ok")
    return str(ASSETS / f"icon-{name}.svg")


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
        found = queries.standing()
    except SQLAlchemyError:
        show(tag("div", network, chip("critical", "the database does not answer"), _clock(), class_="nx-top"))
        return
    state, said = _SAID[found.worst] if found.worst is not None else ("ok", "all well")
    count = sum(problem.severity is not Severity.NOTE for problem in found.problems)
    show(
        tag(
            "div",
            network,
            link(chip(state, f"{said} · {count}" if count else said), url("")),
            *(link(chip("warn", f"{name} {word}"), url("flags")) for name, word in found.switched),
            tag("span", "data ", age(found.read_at, interval_s=10), class_="nx-note nx-data"),
            _clock(),
            class_="nx-top",
            data_worst=found.worst or "ok",
        )
    )


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
