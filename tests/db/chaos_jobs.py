"""The jobs of the chaos test: they only take time. Its workers know them by an entry point, as they would a company's."""

from __future__ import annotations

import time

from jobs.core.jobs import Every, Params, Run, job


@job(name="chaos-tick", title="t", does="Ends at once.", schedule=Every(1), timeout_s=20, retries=2, params=Params)
def tick(run: Run, _params: Params) -> None:
    run.count("ticks")


@job(name="chaos-work", title="t", does="Deaf.", schedule=Every(1), timeout_s=20, retries=4, params=Params)
def work(run: Run, _params: Params) -> None:
    # It hears of nothing, and what it brings after a freeze comes too late.
    time.sleep(0.6 + run.id % 12 / 5)


@job(name="chaos-turn", title="t", does="In turn.", schedule=Every(3), timeout_s=20, retries=4, params=Params)
def turn(run: Run, _params: Params) -> None:
    for step in range(10):
        if run.should_stop():
            return
        run.progress(step, 10)
        run.info("a step", step=step)
        time.sleep(0.2)


JOBS = ("chaos-tick", "chaos-work", "chaos-turn")
