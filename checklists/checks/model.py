"""What a check is, what it is given and what it answers. Pure.

A check proves one statement of a checklist against the real thing, or says why it cannot. It never guesses: what is
missing, empty or too old to tell is `UNABLE`, and whatever it answers that is not `PASSED` or `GATHERED` says what to do.

    @check("database.connection", title="PostgreSQL answers", params=ConnectionParams)
    def connection(context: CheckContext, params: ConnectionParams) -> CheckResult: ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from jobs.core.db import Database
from jobs.core.errors import NexaError, UsageError
from jobs.core.settings import Settings

JSON: TypeAlias = "str | int | float | bool | Sequence[JSON] | Mapping[str, JSON] | None"
P = TypeVar("P", bound="CheckParams")
USUAL_TIMEOUT_S = 60.0


class Verdict(StrEnum):
    """What a check found; only `PASSED` may ever tick an item."""

    PASSED = "passed"
    FAILED = "failed"
    UNABLE = "unable"
    """It could not look."""
    GATHERED = "gathered"
    """What there is to see is in the output, for a person to judge."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One answer: a sentence, what was seen, and, unless all is well, what to do or which setting to set."""

    verdict: Verdict
    summary: str
    output: Mapping[str, JSON]
    mend: str | None = None


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What a check may use. Times are aware and UTC; `now` is the one clock."""

    db: Database
    settings: Settings
    fields: Mapping[str, str]
    """The summary of the checklist's run, by field id (version …)."""
    started_at: datetime
    """When the checklist's run began."""
    now: datetime
    given: Sequence[str]
    """The text evidence on the item: hashes, links, a version."""
    deadline: float | None = None
    """When the check is given up, on `time.monotonic()`; set by `run_check`."""


class CheckParams(BaseModel):
    """The parameters of a check: frozen, with a default for each where one makes sense, and limits."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Unable(NexaError):
    """A check cannot look; `mend` says what to do or which setting to set."""

    def __init__(self, sentence: str, mend: str) -> None:
        super().__init__(sentence)
        self.mend = mend


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """A registered check; given up after `timeout_s` seconds unless its caller says otherwise."""

    name: str
    title: str
    params: type[CheckParams]
    function: Callable[[CheckContext, Any], CheckResult]
    timeout_s: float

    def read(self, with_: Mapping[str, object]) -> CheckParams:
        """The parameters as the definition gives them; UsageError names each one that is not accepted."""
        try:
            return self.params.model_validate(dict(with_))
        except ValidationError as error:
            raise UsageError(f"{self.name} does not accept its parameters: {_wrong(error)}.") from error


REGISTRY: dict[str, CheckSpec] = {}
"""By name; complete once `registry.find_check` or `registry.list_checks` was called."""


def check(
    name: str, *, title: str, params: type[P], timeout_s: float = USUAL_TIMEOUT_S
) -> Callable[[Callable[[CheckContext, P], CheckResult]], Callable[[CheckContext, P], CheckResult]]:
    """Registers a function as the check `family.name`."""

    def register(function: Callable[[CheckContext, P], CheckResult]) -> Callable[[CheckContext, P], CheckResult]:
        if name in REGISTRY and REGISTRY[name].function is not function:
            raise ValueError(f"two checks are called {name}: rename one of them")
        REGISTRY[name] = CheckSpec(name, title, params, function, timeout_s)
        return function

    return register


def passed(summary: str, **output: JSON) -> CheckResult:
    """It holds."""
    return CheckResult(Verdict.PASSED, summary, output)


def gathered(summary: str, **output: JSON) -> CheckResult:
    """Here is what there is to see; a person judges."""
    return CheckResult(Verdict.GATHERED, summary, output)


def failed(summary: str, mend: str, **output: JSON) -> CheckResult:
    """It does not hold."""
    return CheckResult(Verdict.FAILED, summary, output, mend)


def unable(summary: str, mend: str, **output: JSON) -> CheckResult:
    """It cannot be seen."""
    return CheckResult(Verdict.UNABLE, summary, output, mend)


def judged(ok: bool, summary: str, mend: str, **output: JSON) -> CheckResult:
    """Passed, or failed with what to do."""
    return passed(summary, **output) if ok else failed(summary, mend, **output)


def _wrong(error: ValidationError) -> str:
    sentences = []
    for problem in error.errors(include_url=False):
        place = ".".join(str(part) for part in problem["loc"]) or "the parameters"
        message = str(problem["msg"]).removeprefix("Value error, ").rstrip(".")
        sentences.append(f"{place}: {message[:1].lower()}{message[1:]}")
    return "; ".join(sentences)
