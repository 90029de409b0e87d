"""What the wall view shows: how things stand, in letters to be read across a room.

Whoever walks past can read it, so it says less than a page for people who have signed in: no names of customers, no
amounts, hashes or addresses, no text of an error or a reason that somebody or some server wrote, no links. Of a sentence
the part before the colon stays, of an address its host.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from string import Template

from dashboard.components.markup import Html, esc, join, tag
from dashboard.components.states import chip, shape, tone
from dashboard.components.strips import Bar
from dashboard.queries import Standing
from jobs.alerts.rota_store import OnCall
from jobs.alerts.signals import SIGNALS, Unit
from jobs.alerts.standing import Concern
from jobs.probes.attention import STALE_INTERVALS, alive, is_stale, server_state, span
from jobs.probes.model import Facts

BARS = 24
"""Runs of each job that the strip shows."""
_MOST = 8
_EVERY_S = 10
"""How often the page asks for itself anew; `assets/wall.js` has the same."""
_FRAME = Template((Path(__file__).parent / "assets" / "wall.html").read_text(encoding="utf-8"))


def page(
    standing: Standing, on_call: Sequence[OnCall], strips: Mapping[str, Sequence[Bar]], network: str, now: datetime
) -> str:
    """The whole page as HTML."""
    return _FRAME.substitute(
        state=standing.state,
        tab=esc(f"{standing.tab} · " if standing.tab else ""),
        network_class=network.lower(),
        body=join(
            _top(standing, on_call, network, now),
            _sentence(standing),
            _concerns(standing, now),
            _figures(standing.facts, now),
            _jobs(strips),
        ),
    )


def in_public(concern: Concern) -> str:
    """The concern's sentence without amounts, without what others wrote, and of addresses the host alone."""
    known = SIGNALS.get(concern.signal)
    if known is not None and known.unit is Unit.AMOUNT:
        return f"{known.title}, {concern.subject}"
    said = re.sub(r"https?://(?:[^/\s@]*@)?([^/\s:]+(?::\d+)?)\S*?(?=:?(?:\s|$))", r"\1", concern.sentence)
    said = re.sub(r"[^\s:]+@[^\s:]+", "somebody", said)  # who switched a flag or paused a job
    if concern.signal == "horizon.left":
        said = said.partition(" (")[0]  # what the server answered
    # What a probe says of a server is in our own words, and it is all that there is to say.
    return said if concern.signal == "horizon.verdict" else said.partition(": ")[0]


def _top(standing: Standing, on_call: Sequence[OnCall], network: str, now: datetime) -> Html:
    who = ", then ".join(one.name for one in on_call if one.fault is None) or "nobody"
    return tag(
        "div",
        tag("span", network, class_="network"),
        tag("span", tag("span", "on call ", class_="quiet"), tag("b", who), class_="oncall"),
        tag("span", tag("span", "data ", class_="quiet"), _age(standing.read_at, now, every_s=_EVERY_S), id="data"),
        tag(
            "span",
            tag("time", f"{now.astimezone(UTC):%H:%M:%S}", data_clock=int(now.timestamp())),
            tag("span", " UTC", class_="quiet"),
            tag("span", "", data_local="", class_="quiet"),
            class_="clock",
        ),
        class_="top",
    )


def _sentence(standing: Standing) -> Html:
    urgent = standing.outlook.urgent
    if not urgent:
        return tag("h1", shape("ok"), "All is well")
    one, free = len(urgent) == 1, sum(one.taken_by is None for one in urgent)
    things = "1 thing" if one else f"{len(urgent)} things"
    nobody = "nobody has it" if one else "nobody has them"
    taken = "taken" if not free else nobody if free == len(urgent) else f"nobody has {free} of them"
    return tag("h1", shape(standing.state), f"{standing.said.capitalize()}: {things}, {taken}")


def _concerns(standing: Standing, now: datetime) -> Html:
    shown, quiet = standing.outlook.urgent, len(standing.outlook.quiet)
    more = len(shown) - _MOST
    return tag(
        "ul",
        *(_concern(one, standing, now) for one in shown[:_MOST]),
        tag("li", f"and {more} more", class_="quiet") if more > 0 else "",
        tag("li", f"{quiet} silenced or in maintenance", class_="quiet") if quiet else "",
        class_="concerns",
    )


def _concern(concern: Concern, standing: Standing, now: datetime) -> Html:
    who = standing.name(concern.taken_by) if concern.taken_by else ""
    follow = len(concern.follows)
    return tag(
        "li",
        shape(concern.severity),
        tag("span", in_public(concern), class_="said"),
        tag("span", f"{who} has it" if who else "nobody has it", class_="who" if who else "who nobody"),
        tag("span", _age(concern.since, now) if concern.since else "", class_="since"),
        tag("span", f"{follow} {'thing follows' if follow == 1 else 'things follow'} from it", class_="follows quiet")
        if follow else "",
    )  # fmt: skip


def _figures(facts: Facts, now: datetime) -> Html:
    waiting = sum(item.count for item in facts.pending)
    oldest = min((item.oldest for item in facts.pending), default=None)
    beating = alive(facts)
    hosts = len({worker.host for worker in beating})
    return tag(
        "div",
        _figure("Pending", f"{waiting:,}", join("oldest ", _age(oldest, now)) if oldest else "nothing waits"),
        _figure("Cases", f"{facts.cases:,}",
                join("oldest ", _age(facts.oldest_case, now)) if facts.oldest_case else "nothing to decide"),
        *_servers(facts, now),
        _figure("Workers", f"{len(beating)}", f"on {hosts} {'host' if hosts == 1 else 'hosts'}" if hosts else "none runs"),
        class_="figures",
    )  # fmt: skip


def _servers(facts: Facts, now: datetime) -> Iterable[Html]:
    for server in facts.servers:
        host = re.sub(r"^https?://([^/:]+).*", r"\1", server.server)
        label = f"Horizon {host}"
        if server.sampled_at is None:
            yield _figure(label, "–", "not probed yet")
        elif is_stale(server.sampled_at, facts):
            yield _figure(label, "–", chip("stale"))
        else:
            old = "–" if server.age_s is None else span(server.age_s)
            probed = _age(server.sampled_at, now, every_s=facts.probe_interval_s)
            yield _figure(label, f"{old} old", join(chip(server_state(server, facts)), " probed ", probed))


def _figure(label: str, value: object, note: object) -> Html:
    return tag(
        "div", tag("div", label, class_="quiet"), tag("div", value, class_="value"), tag("div", note, class_="quiet")
    )


def _jobs(strips: Mapping[str, Sequence[Bar]]) -> Html:
    return tag("div", *(_job(name, bars) for name, bars in strips.items()), class_="jobs")


def _job(name: str, bars: Sequence[Bar]) -> Html:
    last = bars[-1].state.replace("_", " ") if bars else "has not run"
    return tag(
        "div",
        tag("span", name),
        tag("span", *(tag("i", class_=f"bar nx-{tone(bar.state)}") for bar in bars), class_="bars", role="img",
            aria_label=f"Last runs of {name}, the newest {last}"),
        class_="job",
    )  # fmt: skip


def _age(at: datetime, now: datetime, *, every_s: float | None = None) -> Html:
    """How long ago, counting on in the browser; with `every_s` it turns grey when it has not been renewed three times."""
    seconds = max((now - at).total_seconds(), 0.0)
    limit = None if every_s is None else every_s * STALE_INTERVALS
    since = None if limit is None else f"no data since {at.astimezone(UTC):%H:%M:%S} UTC"
    stale = limit is not None and seconds > limit
    return tag(
        "time",
        since if stale else f"{span(seconds)} ago",
        class_="nx-stale" if stale else None,
        data_age=f"{seconds:.0f}",
        data_limit=None if limit is None else f"{limit:.0f}",
        data_since=since,
    )
