"""The request budget that all workers on all hosts share: a token bucket in one row of the database.

One statement refills the bucket by the database's clock, takes what it can and says how long to wait for more. Workers
take blocks, so that a thousand look-ups are some tens of statements, and give back what is left at the end; what a
killed worker held refills by itself. Nothing is asked of the database when there is no limit.
"""

from __future__ import annotations

import asyncio

from sqlalchemy import TextClause, text

from jobs.core.db import Database
from jobs.core.errors import TransientError
from jobs.horizon.quota import Told, block_of, burst_of, pause_of, rate_of

RESERVE = 5
"""Tokens that only the probe may take: without it, a full backlog would blind it."""

_ROW = text("INSERT INTO ops.horizon_servers (server) VALUES (:server) ON CONFLICT DO NOTHING")
# FOR UPDATE first: two workers that take at the same instant must see each other's take.
_TAKE = text("""
WITH seen AS MATERIALIZED (
    SELECT server, clock_timestamp() AS at,
           GREATEST(0, EXTRACT(EPOCH FROM blocked_until - clock_timestamp()))::double precision AS blocked_s,
           LEAST(CAST(:burst AS double precision), CAST(:left AS double precision),
                 COALESCE(tokens, CAST(:burst AS double precision))
                 + GREATEST(0, EXTRACT(EPOCH FROM clock_timestamp() - COALESCE(tokens_at, clock_timestamp())))
                 * CAST(:rate AS double precision)) AS available
    FROM ops.horizon_servers WHERE server = :server FOR UPDATE
), granted AS (
    SELECT *, CASE WHEN COALESCE(blocked_s, 0) > 0 THEN 0
                   ELSE LEAST(CAST(:wanted AS integer), GREATEST(0, floor(available - CAST(:reserve AS integer))::integer)) END AS n
    FROM seen
)
UPDATE ops.horizon_servers AS s
SET tokens = g.available - g.n, tokens_at = g.at, updated_at = g.at,
    limit_per_hour = COALESCE(CAST(:limit AS integer), s.limit_per_hour),
    remaining = COALESCE(CAST(:remaining AS integer), s.remaining),
    reset_at = COALESCE(g.at + make_interval(secs => CAST(:reset_s AS double precision)), s.reset_at)
FROM granted AS g WHERE s.server = g.server
RETURNING g.n, g.available, COALESCE(g.blocked_s, 0) AS blocked_s
""")
_GIVE_BACK = text("""
UPDATE ops.horizon_servers
SET tokens = LEAST(CAST(:burst AS double precision), CAST(:left AS double precision), COALESCE(tokens, 0) + CAST(:n AS integer)),
    limit_per_hour = COALESCE(CAST(:limit AS integer), limit_per_hour),
    remaining = COALESCE(CAST(:remaining AS integer), remaining),
    reset_at = COALESCE(clock_timestamp() + make_interval(secs => CAST(:reset_s AS double precision)), reset_at)
WHERE server = :server
""")
_BLOCK = text("""
INSERT INTO ops.horizon_servers AS s (server, blocked_until)
VALUES (:server, clock_timestamp() + make_interval(secs => CAST(:seconds AS double precision)))
ON CONFLICT (server) DO UPDATE
SET blocked_until = GREATEST(s.blocked_until, EXCLUDED.blocked_until), updated_at = clock_timestamp()
""")


class BudgetSpent(TransientError):
    """No request may be sent for longer than the caller is ready to wait."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"The request budget is spent: the next request may go in {wait_s:.0f} s.")
        self.wait_s = wait_s


class Budget:
    """One worker's share of a server's budget; `server` is a label, `per_hour` 0 means no limit."""

    def __init__(self, db: Database, server: str, per_hour: int, *, urgent: bool = False) -> None:
        self._db = db
        self._server = server
        self._per_hour = per_hour
        self._reserve = 0 if urgent else min(RESERVE, burst_of(per_hour) // 4)
        self._block = 2 if urgent else block_of(per_hour)
        self._held = 0
        self._in_flight = 0
        self._may_send: int | None = None
        """What the server's last `Remaining` leaves, less what was sent since; None: nothing was said."""
        self._quiet_until = 0.0
        self._told: Told | None = None
        self._fresh = False
        """Whether the database has not seen `_told` yet."""
        self._turn = asyncio.Lock()

    async def take(self, patience_s: float) -> None:
        """Waits until one request may be sent, and counts it; raises BudgetSpent if that takes too long.

        Every take is followed by one `done`.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience_s
        if not (self._held or self._per_hour == 0) or self._quiet_until > loop.time() or self._may_send == 0:
            async with self._turn:  # first come, first served
                await self._wait_for_one(deadline)
        if self._per_hour:
            self._held -= 1
        if self._may_send is not None:
            self._may_send -= 1
        self._in_flight += 1

    def done(self, told: Told | None) -> None:
        """Counts a request as answered, or as lost, and takes in what the server said about its limit."""
        self._in_flight -= 1
        if told is None:
            return
        self._told, self._fresh = told, True
        # What is on its way has not been counted by the server when it sent this.
        self._may_send = max(0, told.remaining - self._in_flight)
        self._held = min(self._held, self._may_send)
        if (pause := pause_of(told)) > 0:
            self._quiet_until = max(self._quiet_until, asyncio.get_running_loop().time() + pause)

    async def block(self, seconds: float) -> None:
        """`Retry-After`: nobody sends anything to this server for so long."""
        self._quiet_until = max(self._quiet_until, asyncio.get_running_loop().time() + seconds)
        await asyncio.to_thread(self._execute, _BLOCK, {"server": self._server, "seconds": seconds})

    async def close(self) -> None:
        """Gives back what was taken and not spent."""
        if self._per_hour and (self._held or self._fresh):
            held, self._held = self._held, 0
            await asyncio.to_thread(self._execute, _GIVE_BACK, {"n": held, **self._common()})

    async def _wait_for_one(self, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if (quiet := self._quiet_until - loop.time()) > 0:
                await self._sleep(quiet, deadline)
            elif self._may_send == 0:
                if self._in_flight == 0:
                    self._may_send = 1  # the pause is over: one goes ahead, and its answer says how many may follow
                else:
                    await self._sleep(0.01, deadline)
            elif self._per_hour == 0 or self._held:
                return
            else:
                self._held, wait = await asyncio.to_thread(self._take_block)
                if not self._held:
                    self._quiet_until = max(self._quiet_until, loop.time() + wait)

    async def _sleep(self, seconds: float, deadline: float) -> None:
        # Callers that cannot wait so long are sent away at once: a full queue must not outlive its job.
        now = asyncio.get_running_loop().time()
        if now + seconds > deadline:
            raise BudgetSpent(seconds)
        await asyncio.sleep(seconds)

    def _take_block(self) -> tuple[int, float]:
        """Tokens granted, and with none the seconds until there will be one."""
        parameters = {"wanted": self._block, "reserve": self._reserve, **self._common()}
        with self._db.begin() as conn:
            row = conn.execute(_TAKE, parameters).one_or_none()
            if row is None:
                conn.execute(_ROW, {"server": self._server})
                row = conn.execute(_TAKE, parameters).one()
        if row.n:
            return int(row.n), 0.0
        missing = max(0.0, 1 + self._reserve - float(row.available)) / rate_of(self._per_hour, self._told)
        return 0, max(float(row.blocked_s), missing, 0.01)

    def _common(self) -> dict[str, object]:
        told = self._told if self._fresh else None
        self._fresh = False
        burst = burst_of(self._per_hour)
        return {
            "server": self._server,
            "burst": burst if self._told is None else min(burst, self._told.limit),
            "rate": rate_of(self._per_hour, self._told),
            "left": None if told is None else self._may_send,
            "limit": None if told is None else told.limit,
            "remaining": None if told is None else told.remaining,
            "reset_s": None if told is None else told.reset_s,
        }

    def _execute(self, statement: TextClause, parameters: dict[str, object]) -> None:
        with self._db.begin() as conn:
            conn.execute(statement, parameters)
