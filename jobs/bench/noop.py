"""The jobs that `bench jobs` measures with: they do nothing, so that what remains is the way there and back.

Whoever imports this has them. The benchmark's workers do, by an entry point in a folder that only they look into; nobody
else's list of jobs knows them.
"""

from __future__ import annotations

from jobs.core.jobs import Params, Run, job

NOOP = "bench-noop"
SCHEDULED = tuple(f"bench-slot-{number:03}" for number in range(200))


def nothing(_run: Run, _params: Params) -> None:
    """Ends at once."""


for _name in (NOOP, *SCHEDULED):
    job(name=_name, title="Nothing", does="Ends at once.", schedule=None, timeout_s=60, params=Params)(nothing)
