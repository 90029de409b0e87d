"""What a job is: a plain function with a name, a schedule, parameters and limits.

Rooms and other packages bring jobs by the entry point group `nexaops.jobs`; each entry names a module whose import
registers them. Nothing here runs anything.

    @job(name="cleanup-notifications", title="…", does="…", schedule=Cron("0 2 * * *"), timeout_s=600, params=Cleanup)
    def cleanup(run: Run, params: Cleanup) -> None: ...
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Protocol, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from jobs.core.db import Database
from jobs.core.errors import NotFound
from jobs.core.flags import Flag
from jobs.core.logs import get_logger
from jobs.core.settings import Settings

log = get_logger(__name__)
P = TypeVar("P", bound="Params")


class Params(BaseModel):
    """The parameters of a job; every field has a description, which the forms and `--help` show."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class Cron:
    """Five cron fields, days of the week by name, in UTC."""

    expression: str


@dataclass(frozen=True, slots=True)
class Every:
    """Every so many seconds, counted from the epoch, so that all hosts mean the same instants."""

    seconds: int


class Asker(Protocol):
    """Whoever asks Horizon: a run of a job, or a person who decides a case."""

    @property
    def job(self) -> str: ...
    @property
    def db(self) -> Database: ...
    @property
    def settings(self) -> Settings: ...
    def count(self, name: str, n: int = 1) -> None: ...
    def warning(self, event: str, **fields: Any) -> None: ...
    def error(self, event: str, **fields: Any) -> None: ...
    def should_stop(self) -> bool:
        """Somebody asked for it, the time is nearly up, or the job's flag went off; cheap enough for every batch."""
        ...


class Run(Asker, Protocol):
    """What a job's function gets: where it counts, logs, and learns that it has to stop."""

    @property
    def id(self) -> int: ...
    @property
    def dry_run(self) -> bool:
        """Asked for, or because the flag `dryRun` is on: decide everything, write nothing."""
        ...

    @property
    def token(self) -> UUID:
        """The attempt's token: what it locks, it locks under this name."""
        ...

    def progress(self, done: int, total: int | None) -> None: ...
    def info(self, event: str, **fields: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class Job:
    """A registered job."""

    name: str
    title: str
    does: str
    schedule: Cron | Every | None
    """None: it runs only when somebody asks for it."""
    timeout_s: int
    retries: int
    flag: Flag | None
    params: type[Params]
    function: Callable[[Run, Any], None]
    needs: str | None = None
    """The field of `Settings` without which its schedule is off; None: it needs none."""
    at_most: int | None = None
    """So many of its runs at the same time, on all workers together; None: as many as are asked for."""


_REGISTRY: dict[str, Job] = {}


def job(
    *,
    name: str,
    title: str,
    does: str,
    schedule: Cron | Every | None,
    timeout_s: int,
    params: type[P],
    retries: int = 0,
    flag: Flag | None = None,
    needs: str | None = None,
    at_most: int | None = None,
) -> Callable[[Callable[[Run, P], None]], Callable[[Run, P], None]]:
    """Registers a function as a job; `retries` follow a failure or a lost worker, `flag` switches the job off.

    Without a `schedule` it runs only when somebody asks for it. `needs` names the field of `Settings` that has to be set for its schedule to be on.
    `at_most` so many of its runs at the same time; the others wait for their turn.
    """

    def register(function: Callable[[Run, P], None]) -> Callable[[Run, P], None]:
        known = _REGISTRY.get(name)
        if known is not None and known.function is not function:
            raise ValueError(f"two jobs are called {name}: rename one of them")
        _REGISTRY[name] = Job(name, title, does, schedule, timeout_s, retries, flag, params, function, needs, at_most)
        return function

    return register


def load_jobs() -> dict[str, Job]:
    """All jobs by name; a package whose module does not import is logged and takes nothing else down."""
    _import_modules()
    return dict(sorted(_REGISTRY.items()))


@functools.cache
def _import_modules() -> None:
    """The modules come with the installed packages: once a process is enough."""
    for entry in entry_points(group="nexaops.jobs"):
        try:
            entry.load()
        except Exception:  # a stranger's module may raise anything
            log.exception("a job's module cannot be imported", module=entry.value)


def find_job(name: str) -> Job:
    """The job of that name; NotFound names those that exist."""
    jobs = load_jobs()
    if name not in jobs:
        raise NotFound(f"There is no job {name}: the jobs are {', '.join(jobs)}.")
    return jobs[name]
