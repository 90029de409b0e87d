"""Several checks for one item: it holds when all of them do."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from checklists.checks import registry
from checklists.checks.model import JSON, CheckContext, CheckParams, CheckResult, Verdict, check
from checklists.grammar import Params
from jobs.core.errors import NexaError

_WORST_FIRST = (Verdict.FAILED, Verdict.UNABLE, Verdict.GATHERED, Verdict.PASSED)


class Part(CheckParams):
    """One of the checks."""

    use: str = Field(description="its name")
    with_: Params = Field(default_factory=dict, alias="with", description="its parameters")

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.use == "composite.all":
            raise ValueError("composite.all cannot hold itself")
        try:
            registry.find_check(self.use).read(self.with_)
        except NexaError as error:
            raise ValueError(str(error)) from error
        return self


class AllParams(CheckParams):
    """Which checks."""

    checks: list[Part] = Field(min_length=2, max_length=10, description="each with `use` and `with`")


@check("composite.all", title="All of several checks", params=AllParams, timeout_s=1900)
def every(context: CheckContext, params: AllParams) -> CheckResult:
    """Each in its turn; the worst of their verdicts, with the sentences that lead to it."""
    results = []
    for part in params.checks:
        spec = registry.find_check(part.use)
        results.append((spec, registry.run_check(part.use, part.with_, context)))
    worst = next(verdict for verdict in _WORST_FIRST if any(result.verdict is verdict for _, result in results))
    # The sentences of what is worst; of what holds, all of them.
    named = [result for _, result in results if result.verdict is worst]
    sentences = dict.fromkeys(result.summary for result in named)
    mends = dict.fromkeys(result.mend for result in named if result.mend)
    output: dict[str, JSON] = {
        spec.name: {"verdict": result.verdict.value, "summary": result.summary, **result.output}
        for spec, result in results
    }
    return CheckResult(worst, " ".join(sentences), output, " ".join(mends) or None)
