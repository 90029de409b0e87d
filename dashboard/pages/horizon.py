"""Can we trust the chain's answers now?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import streamlit as st

from dashboard import queries
from dashboard import queries_horizon as reads
from dashboard import queries_probes as probes
from dashboard.access import guarded_fragment, require, told
from dashboard.components.filters import Shown, time_of_charts
from dashboard.components.horizon_charts import horizon_charts, short
from dashboard.components.layout import empty, page_head, section, table, tiles
from dashboard.components.markup import Html, join, show, tag
from dashboard.components.numbers import figure
from dashboard.components.states import chip, shape
from dashboard.components.status_panel import status_panel
from dashboard.components.times import age, now
from dashboard.desk import desk
from jobs.core.permissions import Right
from jobs.horizon.breaker import CLOSED, Breaker
from jobs.horizon.servers import rpc_label
from jobs.horizon.servers import servers as configured_servers
from jobs.probes.attention import ledgers_behind, left_in_words, moment, server_state, span
from jobs.probes.figures import Latency, Sample
from jobs.probes.latest import asked_page
from jobs.probes.model import ServerFacts
from jobs.probes.spans import Window

require(Right.VIEW)
SETTINGS = desk().settings
SERVERS = configured_servers(SETTINGS)
RPC = rpc_label(SETTINGS.rpc_url) if SETTINGS.rpc_url else None
RPC_EVERY_S = 60.0
HOUR = Window(timedelta(hours=1))
_SAID = {
    "ok": "Horizon's answers can be trusted",
    "warn": "Horizon answers, but something is not as it should be",
    "critical": "Do not trust Horizon's answers now",
    "stale": "Nobody knows how Horizon does: the probe is silent",
}


def state_of(server: ServerFacts) -> str:
    """The verdict, or "stale": a panel never shows an old green."""
    return server_state(server, queries.standing().facts)


# Two tiles of several parts that fail alone, because each tile costs a look at who looks and a thread.
@guarded_fragment(run_every=10)
def glance() -> None:
    """The verdict, and the figures that it rests on."""
    for part in (verdict, figures):
        with told():
            part()


@guarded_fragment(run_every=15)
def sources() -> None:
    """What is asked, and what the network's own page says."""
    for part in (servers, stand_in, status):
        with told():
            part()


def verdict() -> None:
    facts = queries.standing().facts
    servers = facts.servers
    if not any(server.sampled_at for server in servers):
        page_head("Horizon has not been probed yet")
        empty("Age, lag, latency and budget will stand here.", "The job probe-horizon measures them every 15 seconds.")
        return
    states = {state_of(server) for server in servers}
    # One server that is well is enough to settle by; the others are named below.
    best = next(state for state in ("ok", "warn", "critical", "stale") if state in states)
    others = len(servers) - sum(state_of(server) == best for server in servers)
    lead = f"{others} of {len(servers)} servers {'do' if others > 1 else 'does'} worse" if others else ""
    page_head(_SAID[best], lead)
    reasons = [(server, reason) for server in servers for reason in (*_frozen(server, facts.now), *server.reasons)]
    if reasons:
        show(
            tag(
                "ul",
                *(tag("li", shape(state_of(server)), tag("span", f"{short(server.server)}: {reason}"))
                  for server, reason in reasons),
                class_="nx-problems",
            )
        )  # fmt: skip


def _frozen(server: ServerFacts, now: datetime) -> list[str]:
    if server.frozen_at is None:
        return []
    why = f": {server.frozen_reason}" if server.frozen_reason else ""
    return [f"nothing is settled on it since {moment(server.frozen_at, now)}{why}"]


def figures() -> None:
    facts = queries.standing().facts
    hour = reads.requests(HOUR)
    limit = SETTINGS.rate_limit_per_hour
    budget = figure(
        f"{max(0, limit - hour.total):,}" if limit else "no limit", label="Requests left this hour",
        note=f"{hour.total:,} sent" + (f" of {limit:,}" if limit else " in the last hour"),
    )  # fmt: skip
    tiles(
        [
            *(_age(server, facts.probe_interval_s) for server in facts.servers),
            figure("–" if hour.p95 is None else f"{hour.p95:,.0f}", "ms", label="Latency p95", note="the last hour"),
            budget,
            figure(f"{hour.error_share:.1%}", label="Errors", note=_kinds(hour.errors) or "none in the last hour")
            if hour.total
            else figure("–", label="Errors", note="nothing was asked in the last hour"),
        ]
    )


def _age(server: ServerFacts, interval_s: float) -> Html:
    state = state_of(server)
    probed = join("probed ", age(server.sampled_at, interval_s=interval_s))
    if state == "stale" or server.age_s is None:
        return figure(chip(state), label=short(server.server), note=probed)
    lag = f"{server.lag} {'ledger' if server.lag == 1 else 'ledgers'} behind, " if server.lag else ""
    old = tag("span", f"{span(server.age_s)} old")
    return figure(join(old, " ", chip(state)), label=short(server.server), note=join(lag, probed))


def _kinds(errors: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in errors[:3])


@guarded_fragment(run_every=30)
def courses(shown: Shown) -> None:
    asked = reads.requests(shown.window)
    horizon_charts(SETTINGS, SERVERS, shown, asked)
    left, right = st.columns(2, gap="large")
    with left:
        section("Latency by endpoint", shown.words)
        if not asked.latency:
            empty("How fast each endpoint answers will stand here.", "It is measured with the first request.")
        else:
            _latencies("Endpoint", [replace(item, name=item.name.replace("_", " ")) for item in asked.latency])
        if len(asked.by_server) > 1:
            section("Latency by server", shown.words)
            _latencies("Server", [replace(item, name=short(item.name)) for item in asked.by_server])
    with right:
        limit = SETTINGS.rate_limit_per_hour
        section("Who spends the budget", shown.words + (f", {limit:,} an hour are allowed" if limit else ""))
        if not asked.by_job:
            empty("Which job sends how many requests will stand here.")
        else:
            hours = shown.window.length / timedelta(hours=1)
            table(
                ("Job", "Requests", "An hour", "Share"),
                [(job, f"{count:,}", f"{count / hours:,.0f}", f"{count / asked.total:.0%}") for job, count in asked.by_job],
                numeric=(1, 2, 3), label="Requests by job",
            )  # fmt: skip
        if asked.errors:
            section("Errors by kind", f"{asked.error_share:.1%} of the requests")
            table(("Kind", "Requests"), [(kind.replace("_", " "), f"{count:,}") for kind, count in asked.errors],
                  numeric=(1,), label="Errors by kind")  # fmt: skip


def _latencies(of: str, found: Sequence[Latency]) -> None:
    rows = [(item.name, f"{item.requests:,}", *map(_ms, (item.p50, item.p95, item.p99))) for item in found]
    table((of, "Requests", "p50", "p95", "p99"), rows, numeric=(1, 2, 3, 4), label=f"Latency by {of.lower()}")


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f} ms"


def servers() -> None:
    section("Servers side by side")
    samples = reads.newest_samples(SERVERS)
    if not samples:
        empty("What each server says about itself will stand here.")
        return
    facts = queries.standing().facts
    behind = ledgers_behind(facts)
    breakers = {server.server: server.breaker for server in facts.servers}
    rows: list[tuple[str, Callable[[Sample], object]]] = [
        ("For the jobs", lambda s: _use(breakers.get(s.server, CLOSED), facts.now)),
        ("Newest ledger", lambda s: _newest(s, behind.get(s.server))),
        ("Keeps since ledger", lambda s: f"{s.elder_ledger:,}" if s.elder_ledger else "–"),
        ("Ledgers behind its core", lambda s: "–" if s.lag is None else str(s.lag)),
        ("Ingested", _ingested),
        ("Its own health", _health),
        ("Network", _network),
        ("Protocol", lambda s: f"{s.protocol} of {s.supported_protocol} supported" if s.protocol else "–"),
        ("Versions", lambda s: f"Horizon {s.horizon_version}, core {s.core_version}" if s.horizon_version else "–"),
        ("Fee p50, p95", lambda s: f"{s.fee_p50:,}, {s.fee_p95:,} stroops" if s.fee_p50 and s.fee_p95 else "–"),
        ("Bids p95", lambda s: f"{s.max_fee_p95:,} stroops" if s.max_fee_p95 else "–"),
        ("Ledger full", lambda s: f"{s.capacity_usage:.0%}" if s.capacity_usage is not None else "–"),
        ("Asked", lambda s: age(s.at, interval_s=facts.probe_interval_s)),
        ("Error", lambda s: s.error or "none"),
    ]
    table(("Figure", *(short(sample.server) for sample in samples)),
          [(label, *(read(sample) for sample in samples)) for label, read in rows])  # fmt: skip


def _use(breaker: Breaker, now: datetime) -> object:
    """What a server's circuit breaker means for the jobs, in words."""
    if left := left_in_words(breaker, now):
        return join(chip("warn", "left"), tag("div", left))
    if breaker.failures:
        times = "once" if breaker.failures == 1 else f"{breaker.failures} times in a row"
        return f"in use, has failed {times}"
    return "in use"


def _newest(sample: Sample, behind: int | None) -> object:
    if not sample.latest_ledger:
        return "–"
    number = f"{sample.latest_ledger:,}"
    if not behind:
        return number
    words = f"{behind:,} {'ledger' if behind == 1 else 'ledgers'} behind the furthest server"
    return join(number, tag("div", chip("warn", words) if behind >= SETTINGS.horizon_lag_warn else words))


def _ingested(sample: Sample) -> object:
    if sample.ingest_ledger is None or sample.latest_ledger is None:
        return "–"
    apart = abs(sample.latest_ledger - sample.ingest_ledger)
    return (
        f"{apart:,} {'ledger' if apart == 1 else 'ledgers'} apart from the history"
        if apart
        else "in step with the history"
    )


def _health(sample: Sample) -> object:
    """What /health says; some providers serve none."""
    if sample.core_up is None:
        return "it does not say"
    parts = (("database", sample.database_connected), ("core", sample.core_up), ("core in step", sample.core_synced))
    bad = [name for name, well in parts if not well]
    return chip("critical", f"not well: {', '.join(bad)}") if bad else "well"


def _network(sample: Sample) -> object:
    if sample.passphrase is None:
        return "–"
    if sample.passphrase == SETTINGS.passphrase:
        return sample.passphrase
    return join(chip("critical", "another network"), tag("div", sample.passphrase))


def stand_in() -> None:
    """Stellar RPC, which answers by hash when no Horizon can be used; probed once a minute."""
    if RPC is None:
        return
    section("In Horizon's place", "answers by hash when no Horizon server can be used")
    found = reads.newest_samples((RPC,))
    if not found:
        empty(f"{short(RPC)} has not been probed yet.", "The job probe-horizon looks at it once a minute.")
        return
    (sample,) = found
    furthest = max((one.latest_ledger or 0 for one in reads.newest_samples(SERVERS)), default=0)
    behind = max(0, furthest - sample.latest_ledger) if sample.latest_ledger else None
    silent = (now() - sample.at).total_seconds() > 3 * RPC_EVERY_S
    said = tag("div", *(tag("div", reason) for reason in sample.reasons))
    table(
        ("Server", "State", "Newest ledger", "Keeps since ledger", "Network", "Latency", "Asked"),
        [(
            short(RPC),
            chip("stale") if silent else join(chip(sample.verdict), said),
            _newest(sample, behind),
            f"{sample.elder_ledger:,}" if sample.elder_ledger else "–",
            _network(sample),
            _ms(sample.latency_ms),
            age(sample.at, interval_s=RPC_EVERY_S),
        )],
        label="Stellar RPC",
    )  # fmt: skip


def status() -> None:
    if (page := asked_page(SETTINGS)) is not None:
        status_panel(short(page), probes.status_page(page))


glance()
courses(time_of_charts("horizon"))
sources()
