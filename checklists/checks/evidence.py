"""What people wrote on an item themselves."""

from __future__ import annotations

from pydantic import Field

from checklists.checks.model import CheckContext, CheckParams, CheckResult, Unable, check, gathered
from checklists.checks.reach import plural


class WrittenParams(CheckParams):
    """How much there has to be."""

    words: int = Field(20, ge=1, le=1000, description="words at least")


@check("evidence.written", title="Somebody wrote it down", params=WrittenParams)
def written(context: CheckContext, params: WrittenParams) -> CheckResult:
    """The texts on the item, whether there is enough of them; what they say is for a person to judge."""
    words = sum(len(text.split()) for text in context.given)
    if words < params.words:
        raise Unable(
            f"{plural(words, 'word')} stand on the item.", f"Write what happened, in {params.words} words or more."
        )
    return gathered(f"{plural(words, 'word')} stand on the item.", words=words)
