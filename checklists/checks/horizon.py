"""Horizon as the jobs use it: through the one client, with its budget; each configured server is asked by itself."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import timedelta

from pydantic import Field
from sqlalchemy import Connection, text

from checklists.checks.database import NoParams
from checklists.checks.model import (
    JSON,
    CheckContext,
    CheckParams,
    CheckResult,
    Unable,
    check,
    failed,
    gathered,
    judged,
)
from checklists.checks.reach import age, plural, reading, seconds_left, some
from checklists.grammar import Duration
from jobs.horizon.client import Horizon
from jobs.horizon.health import age_s
from jobs.horizon.model import Root
from jobs.horizon.quota import Told, rate_of
from jobs.horizon.server import thresholds_of
from jobs.horizon.servers import label_of, servers
from jobs.horizon.transport import HorizonError
from jobs.probes.attention import STALE_INTERVALS
from jobs.probes.facts import PROBE_JOB
from jobs.probes.figures import newest_samples
from jobs.schedule.store import list_schedules

_REQUEST_S = 10.0
_NO_LIMIT_OF_OURS = 10**9
_MEND = "Check STELLAR_HORIZON_URL, the network of this host, and the page Horizon."


class RootParams(CheckParams):
    """How fast is well."""

    most_ms: float = Field(2000, gt=0, le=60_000, description="the slowest answer that is accepted")


@check("horizon.root", title="Horizon answers", params=RootParams)
def root(context: CheckContext, params: RootParams) -> CheckResult:
    """Every configured server answers, in time, with a fresh ledger of our network."""
    roots, silent = _roots(context)
    seen = {server: _facts(found) for server, found in roots.items()}
    limits = thresholds_of(context.settings)
    wrong = list(silent.values())
    for server, found in roots.items():
        old = age_s(found, context.now) or 0.0
        if found.network_passphrase != context.settings.passphrase:
            wrong.append(f"{server} is on another network.")
        elif old > limits.age_critical_s:
            wrong.append(f"{server} answers, but its newest ledger is {old:.0f} s old.")
        elif found.latency_ms > params.most_ms:
            wrong.append(f"{server} took {found.latency_ms:.0f} ms.")
    if wrong:
        return failed(" ".join(wrong), _MEND, servers=seen, silent=silent)
    slowest = max(found.latency_ms for found in roots.values())
    newest = max(found.latest_ledger for found in roots.values())
    return judged(
        True,
        f"{plural(len(roots), 'server')} of Horizon answered within {slowest:.0f} ms, at ledger {newest:,}.",
        _MEND,
        servers=seen,
    )


@check("horizon.passphrase", title="Horizon is on the configured network", params=NoParams)
def passphrase(context: CheckContext, params: NoParams) -> CheckResult:
    """What each server calls its network against STELLAR_NETWORK."""
    roots, silent = _roots(context)
    if silent:
        raise Unable(" ".join(silent.values()), _MEND)
    wrong = [server for server, found in roots.items() if found.network_passphrase != context.settings.passphrase]
    names = {server: found.network_passphrase for server, found in roots.items()}
    return judged(
        not wrong,
        f"{some(wrong)} is on another network than {context.settings.network_label}."
        if wrong
        else f"Every server says that it is {context.settings.network_label}: “{context.settings.passphrase}”.",
        "Correct STELLAR_HORIZON_URL or STELLAR_NETWORK before anything is settled.",
        networks=names,
        configured=context.settings.passphrase,
    )


@check("horizon.rate_limit", title="Horizon allows as much as we ask", params=NoParams)
def rate_limit(context: CheckContext, params: NoParams) -> CheckResult:
    """What the servers' X-RateLimit headers allow against STELLAR_RATE_LIMIT_PER_HOUR."""
    # Some requests in a row: only a limit that is partly spent tells how fast it comes back.
    roots, silent = _roots(context, times=5)
    if silent:
        raise Unable(" ".join(silent.values()), _MEND)
    with reading(context) as conn:
        rows = {
            row.server: row
            for row in conn.execute(
                text(
                    "SELECT server, limit_per_hour, remaining,"
                    " ceil(extract(epoch FROM reset_at - clock_timestamp()))::int AS reset_s FROM ops.horizon_servers"
                    " WHERE server = ANY (CAST(:servers AS text[]))"
                ),
                {"servers": list(roots)},
            )
        }
    unsaid = [server for server in roots if server not in rows or rows[server].limit_per_hour is None]
    if unsaid:
        raise Unable(
            f"{some(unsaid)} does not say how many requests it allows.",
            "Ask the provider for the limit, keep STELLAR_RATE_LIMIT_PER_HOUR below it, and tick by hand.",
        )
    ours = context.settings.rate_limit_per_hour
    allowed = {}
    for server, row in rows.items():
        told = Told(row.limit_per_hour, row.remaining or 0, row.reset_s or 0)
        allowed[server] = round(rate_of(_NO_LIMIT_OF_OURS, told) * 3600) if told.reset_s > 1 else told.limit
    least = min(allowed.values())
    output: dict[str, JSON] = {"allowed_per_hour": allowed, "configured_per_hour": ours}
    if not ours:
        return failed(
            f"Our own requests are not limited; the servers allow {least:,} an hour.",
            f"Set STELLAR_RATE_LIMIT_PER_HOUR to {least} or less.",
            **output,
        )
    return judged(
        ours <= least,
        f"We ask at most {ours:,} times an hour; the servers allow {least:,}.",
        f"Set STELLAR_RATE_LIMIT_PER_HOUR to {least} or less.",
        **output,
    )


class LatencyParams(CheckParams):
    """How fast is well."""

    p50_ms: float = Field(1000, gt=0, description="half of the answers are faster")
    p95_ms: float = Field(2000, gt=0, description="95 of 100 are faster")
    requests: int = Field(10, ge=5, le=50, description="asked so often, one after the other")


@check("horizon.latency", title="Horizon answers fast enough", params=LatencyParams)
def latency(context: CheckContext, params: LatencyParams) -> CheckResult:
    """Measured now, by asking each server a few times."""
    found = _ask_often(context, params.requests)
    slow, words = [], {}
    for server, times in found.items():
        ordered = sorted(times)
        p50, p95 = ordered[(len(ordered) - 1) // 2], ordered[max(0, -(-len(ordered) * 95 // 100) - 1)]
        words[server] = f"p50 {p50:.0f} ms, p95 {p95:.0f} ms"
        if p50 > params.p50_ms or p95 > params.p95_ms:
            slow.append(server)
    first = slow[0] if slow else next(iter(words))
    return judged(
        not slow,
        f"{first}: {words[first]} over {params.requests} requests.",
        "Ask the provider, or name a faster server first in STELLAR_HORIZON_URL.",
        servers=words,
        latencies_ms={server: [round(value, 1) for value in times] for server, times in found.items()},
    )


class UptimeParams(CheckParams):
    """How much is enough."""

    within: Duration = Field(timedelta(hours=24), description="over how long")
    least_share: float = Field(0.99, gt=0, le=1, description="of the probe's looks with an answer that counts")


@check("horizon.uptime", title="Horizon has been there all the time", params=UptimeParams)
def uptime(context: CheckContext, params: UptimeParams) -> CheckResult:
    """By the probe's samples; a probe that did not look has not seen anything."""
    since = context.now - params.within
    with reading(context) as conn:
        rows = conn.execute(
            text(
                "SELECT s.name AS server, count(h.at) AS looks, count(*) FILTER (WHERE h.verdict <> 'critical') AS good"
                " FROM unnest(CAST(:servers AS text[])) AS s (name)"
                " LEFT JOIN ops.horizon_samples h ON h.server = s.name AND h.at >= :since AND h.at <= :now GROUP BY 1"
            ),
            {"servers": list(_configured(context)), "since": since, "now": context.now},
        ).all()
        expected = params.within / _probe_interval(conn)
    shares = {}
    for row in rows:
        if row.looks < expected * 0.9:
            raise Unable(
                f"The probe looked at {row.server} {row.looks:,} times in {age(params.within)}, not "
                f"{expected:,.0f} times: it cannot tell.",
                "Let the job probe-horizon run for the whole time, then look again.",
            )
        shares[row.server] = row.good / row.looks
    worst = min(shares, key=lambda server: shares[server])
    return judged(
        shares[worst] >= params.least_share,
        f"{worst} was well in {shares[worst]:.2%} of the looks of the last {age(params.within)}.",
        "See on the page Horizon when it was not, and consider another server.",
        shares={server: f"{share:.4%}" for server, share in shares.items()},
    )


@check("horizon.outage", title="For how long Horizon has been away", params=NoParams)
def outage(context: CheckContext, params: NoParams) -> CheckResult:
    """Since when no server has been well, for the person who decides about pausing the jobs."""
    names = _configured(context)
    with reading(context) as conn:
        newest = newest_samples(conn, names)
        good = conn.execute(
            text(
                "SELECT max(at) FROM ops.horizon_samples WHERE server = ANY (CAST(:servers AS text[]))"
                " AND verdict <> 'critical'"
            ),
            {"servers": list(names)},
        ).scalar()
        stale_after = STALE_INTERVALS * _probe_interval(conn)
    if not newest or max(sample.at for sample in newest) < context.now - stale_after:
        raise Unable("The probe has not looked at Horizon lately.", "Start a worker and see that probe-horizon runs.")
    seen: JSON = {sample.server: [sample.verdict, *sample.reasons] for sample in newest}
    well = [sample.server for sample in newest if sample.verdict != "critical"]
    if well:
        return gathered(f"There is no outage: {some(well)} is well.", servers=seen)
    lasts = f"for {age(context.now - good)}" if good else "for as long as the samples go back"
    return gathered(
        f"No server of Horizon has been well {lasts}. Pending transactions wait, nothing is lost.",
        servers=seen,
        last_well=good.isoformat() if good else None,
    )


def _probe_interval(conn: Connection) -> timedelta:
    for schedule in list_schedules(conn):
        if schedule.name == PROBE_JOB and schedule.kind == "interval":
            return timedelta(seconds=int(schedule.expression))
    raise Unable(f"{PROBE_JOB} has no interval.", "Run `nexaops migrate`, or give its schedule an interval.")


def _configured(context: CheckContext) -> tuple[str, ...]:
    names = servers(context.settings)
    if not names:
        raise Unable("No Horizon server is configured.", "Set STELLAR_HORIZON_URL.")
    return names


def _roots(context: CheckContext, times: int = 1) -> tuple[dict[str, Root], dict[str, str]]:
    """The root of every configured server by its label, and of those that do not answer what is wrong."""
    _configured(context)
    return asyncio.run(_all_roots(context, times))


async def _all_roots(context: CheckContext, times: int) -> tuple[dict[str, Root], dict[str, str]]:
    urls = {label_of(url): url for url in reversed(context.settings.horizon_urls)}
    answers = await asyncio.gather(*(_root(context, url, times) for url in urls.values()))
    roots = {server: found for server, found in zip(urls, answers, strict=True) if isinstance(found, Root)}
    return roots, {server: why for server, why in zip(urls, answers, strict=True) if isinstance(why, str)}


async def _root(context: CheckContext, url: str, times: int) -> Root | str:
    try:
        async with client_of(context, url) as horizon:
            for _ in range(times - 1):
                await horizon.root()
            return await horizon.root()
    except HorizonError as error:
        return error.detail


def _ask_often(context: CheckContext, requests: int) -> dict[str, list[float]]:
    async def ask(url: str) -> list[float]:
        async with client_of(context, url) as horizon:
            return [(await horizon.root()).latency_ms for _ in range(requests)]

    async def ask_all() -> dict[str, list[float]]:
        urls = {label_of(url): url for url in reversed(context.settings.horizon_urls)}
        return dict(zip(urls, await asyncio.gather(*(ask(url) for url in urls.values())), strict=True))

    _configured(context)
    return asyncio.run(ask_all())


def client_of(context: CheckContext, url: str) -> Horizon:
    """One request is one try: a repeated one would hide what a check is there to see."""
    timeout_s = seconds_left(context, min(_REQUEST_S, context.settings.horizon_timeout_s))
    settings = context.settings.model_copy(update={"horizon_timeout_s": timeout_s, "horizon_attempts": 1})
    return Horizon(settings, context.db, job="checklists", url=url, urgent=True)


def _facts(found: Root) -> dict[str, JSON]:
    return {
        name: value if isinstance(value, int | float | str) or value is None else str(value)
        for name, value in asdict(found).items()
    }
