"""Asks about a batch, and leaves a server that dies meanwhile for the next one.

What a server had said about a batch before it died is forgotten when another one takes over: each batch is judged on
the answers of one server. When no other one can be used, what the dying one did show is proof all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from jobs.core.jobs import Run
from jobs.horizon.breaker import OPENS_AFTER
from jobs.horizon.choice import Choice, ServerFrozen
from jobs.horizon.model import Answer
from jobs.horizon.transport import HorizonError
from jobs.reconcile.asking import GIVE_UP_AFTER, Findings, ask_about
from jobs.reconcile.store import Held

_FAILURES = (Answer.UNAVAILABLE, Answer.TIMEOUT, Answer.REFUSED)


async def ask_or_change_server(
    run: Run, servers: Choice, batch: Sequence[Held], now: datetime, silent: int = 0
) -> Findings | None:
    """Everything that the rules want to know about a batch; None: another server is to be asked about it now.

    `silent` look-ups before it had no answer. Raises like `ask_about` when no other server can be used.
    """
    try:
        findings = await ask_about(run, servers.current, batch, now, silent)
    except ServerFrozen as error:
        if await servers.leave(str(error), frozen=True):
            return None
        raise
    except HorizonError as error:
        if await servers.leave(error.detail, failures=0 if error.answer is Answer.RATE_LIMITED else 1):
            return None
        raise
    # A spent budget is no failure, and what was learnt for it is not thrown away.
    if findings.spent or run.should_stop():
        return findings
    if findings.frozen is not None:
        left = await servers.leave(findings.frozen, frozen=True)
    elif findings.silent >= GIVE_UP_AFTER:
        left = await servers.leave(f"{findings.silent} requests in a row had no answer.", failures=findings.silent)
    elif findings.gave_up:
        left = await servers.leave("It stopped answering before an absence was confirmed.")
    elif failures := _failures(findings):
        left = await servers.leave(f"None of {failures} requests had a usable answer.", failures=failures)
    else:
        left = False
    return None if left else findings


def _failures(findings: Findings) -> int:
    """How many look-ups failed if all of them did, so that a short batch cannot hide a dead server; else 0."""
    answers = [look.lookup.answer for looks in findings.looks.values() for look in looks]
    # A page in the way of Horizon spoils every answer, the canary's too; without it there are odd transactions that no
    # server could show.
    garbled = 0 if findings.canary else answers.count(Answer.GARBLED)
    failed = sum(answer in _FAILURES for answer in answers) + (garbled if garbled >= OPENS_AFTER else 0)
    return failed if failed == len(answers) else 0
