"""The job that looks at every Horizon server, and at the Stellar RPC in its place, and says how it does.

A dead server is a finding, not a failure of the probe: the run succeeds and the sample says what is wrong. The probe
never repeats a request, because a repeated one would hide what it is there to see. A dry run keeps its samples too: they
are measurements, and the flag `dryRun` must not turn the pages grey.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from jobs.core.db import Database
from jobs.core.jobs import Every, Params, Run, job
from jobs.core.settings import Settings
from jobs.horizon.client import Horizon
from jobs.horizon.health import Facts, Thresholds, Verdict, judge
from jobs.horizon.model import Answer, FeeStats, Frozen, Health, Root
from jobs.horizon.provider import Provider
from jobs.horizon.rpc import Rpc
from jobs.horizon.server import thresholds_of
from jobs.horizon.servers import label_of, rpc_label
from jobs.horizon.transport import HorizonError
from jobs.probes.samples import Before, Sample, read_before, write_sample

REQUEST_S = 7.0
"""For one request of the probe: with reading and writing it ends well before its time limit."""
LOOK_S = 9.0
FEES_EVERY = timedelta(seconds=58)
"""Fees once a minute; a little less, or a probe that is late by a moment would make it every 75 seconds."""
STAND_IN_EVERY = FEES_EVERY


class ProbeParams(Params):
    """The probe has no parameters: it looks at every configured server."""


@job(
    name="probe-horizon",
    title="Probe Horizon",
    does="Asks every Horizon server, and the Stellar RPC in its place, how it does: age, lag, network, fees, latency.",
    schedule=Every(seconds=15),
    timeout_s=12,
    params=ProbeParams,
)
def probe_horizon(run: Run, params: ProbeParams) -> None:
    """Looks at all servers at the same time and keeps a sample of each; counts servers, critical and warn."""
    urls = {label_of(url): url for url in reversed(run.settings.horizon_urls)}
    if not urls:
        run.warning("no Horizon server is configured")
        return
    samples = asyncio.run(_look_at_all(run, list(urls.values())))
    run.count("servers", len(samples))
    for sample in samples:
        verdict = sample.judgement.verdict
        if verdict is not Verdict.OK:
            run.count(verdict.value)
            run.warning(
                f"server is {verdict.value}",
                server=sample.server,
                reasons=[reason.sentence for reason in sample.judgement.reasons],
            )
    with run.db.begin() as conn:
        for sample in samples:
            write_sample(conn, sample)


async def _look_at_all(run: Run, urls: list[str]) -> list[Sample]:
    looks = (look_at(run.db, run.settings, url, job=run.job) for url in urls)
    samples = await asyncio.gather(*looks, _look_at_stand_in(run))
    return [sample for sample in samples if sample is not None]


async def look_at(db: Database, settings: Settings, url: str, *, job: str) -> Sample:
    """One look at one server, judged and not kept; `job` is who spends the requests. Never raises for the server's sake."""
    settings, server = _impatient(settings), label_of(url)
    before = await asyncio.to_thread(_read_before, db, server, settings.rate_limit_per_hour)
    seen = _Seen()
    try:
        async with asyncio.timeout(LOOK_S), Horizon(settings, db, job=job, url=url, urgent=True) as horizon:
            await seen.look(horizon, ask_fees=before.fees_at is None or before.now - before.fees_at >= FEES_EVERY)
    except TimeoutError:
        seen.no_answer = seen.no_answer or f"{server} did not answer within {LOOK_S:g} s."
    return seen.sample(server, before, thresholds_of(settings))


async def _look_at_stand_in(run: Run) -> Sample | None:
    """Stellar RPC, if there is one and its last sample has its time behind it: a look takes several requests."""
    if run.settings.rpc_url is None:
        return None
    settings, server = _impatient(run.settings), rpc_label(run.settings.rpc_url)
    before = await asyncio.to_thread(_read_before, run.db, server, settings.rate_limit_per_hour)
    if before.sampled_at is not None and before.now - before.sampled_at < STAND_IN_EVERY:
        return None
    seen = _Seen()
    try:
        async with asyncio.timeout(LOOK_S), Rpc(settings, run.db, job=run.job, urgent=True) as rpc:
            await seen.look_at_root(rpc)
    except TimeoutError:
        seen.no_answer = f"{server} did not answer within {LOOK_S:g} s."
    return seen.sample(server, before, thresholds_of(settings))


def _impatient(settings: Settings) -> Settings:
    timeout_s = min(REQUEST_S, settings.horizon_timeout_s)
    return settings.model_copy(update={"horizon_timeout_s": timeout_s, "horizon_attempts": 1})


def _read_before(db: Database, server: str, per_hour: int) -> Before:
    with db.read() as conn:
        return read_before(conn, server, per_hour)


class _Seen:
    """What came back from one server, filled as it comes, so that a time-out keeps what was there already."""

    def __init__(self) -> None:
        self.root: Root | None = None
        self.frozen: Frozen | None = None
        self.health: Health | None = None
        self.fees: FeeStats | None = None
        self.no_answer: str | None = None
        self.not_asked: str | None = None

    async def look(self, horizon: Horizon, *, ask_fees: bool) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.look_at_root(horizon))
            group.create_task(self._look_at_health(horizon))
            if ask_fees:
                group.create_task(self._look_at_fees(horizon))

    def facts(self, before: Before) -> Facts:
        lagging_s = None
        if self.root is not None and self.root.ingest_ledger != self.root.latest_ledger:
            since = before.ingestion_lags_since or before.now
            lagging_s = (before.now - since).total_seconds()
        return Facts(
            root=self.root,
            no_answer=self.no_answer,
            not_asked=self.not_asked,
            now=before.now,
            frozen=self.frozen,
            health=self.health,
            fees=self.fees,
            ingestion_lag_s=lagging_s,
            p95_ms=before.p95_ms,
            requests=before.requests,
            errors=before.errors,
            errors_by_kind=before.errors_by_kind,
            budget_left=before.budget_left,
            budget_by_job=before.budget_by_job,
        )

    def sample(self, server: str, before: Before, thresholds: Thresholds) -> Sample:
        """What was seen, judged."""
        judgement = judge(self.facts(before), thresholds)
        error = self.no_answer or self.not_asked
        return Sample(server, judgement, before.now, self.root, self.health, self.fees, error)

    async def look_at_root(self, server: Provider) -> None:
        """Where a Horizon or its stand-in stands; never raises for what a server can answer."""
        try:
            self.root = await server.root()
            self.frozen = server.frozen
        except HorizonError as error:
            if error.answer is Answer.RATE_LIMITED:
                self.not_asked = error.detail
            else:
                self.no_answer = error.detail

    async def _look_at_health(self, horizon: Horizon) -> None:
        try:
            self.health = await horizon.health()
        except HorizonError:
            return  # some providers do not serve /health; a server that is down shows at the root

    async def _look_at_fees(self, horizon: Horizon) -> None:
        try:
            self.fees = await horizon.fee_stats()
        except HorizonError:
            return  # the samples say how old the fees are
