"""Alerts and notices. This version has neither rules nor channels, and these checks say so: they never pass.

What the desk does watch stands on the page Overview and in `/health/scheduled-jobs` and `/metrics`, for a monitoring
system to alert on; an item is ticked by hand once that has been proved.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from checklists.checks.database import NoParams
from checklists.checks.model import CheckContext, CheckParams, CheckResult, check, unable

_BY_HAND = "Let your monitoring alert on /health/scheduled-jobs and /metrics of the dashboard, prove it once, and tick by hand."


class RuleParams(CheckParams):
    """Which rule."""

    rule: Literal["job_failure", "error_rate", "slow_job", "database", "stellar"] = Field(description="what it watches")


@check("alerts.rule", title="There is an alert for it", params=RuleParams)
def rule(context: CheckContext, params: RuleParams) -> CheckResult:
    """Whether a rule is on and leads somewhere."""
    return unable(f"This version has no alert rules, so none for {params.rule.replace('_', ' ')}.", _BY_HAND)


@check("alerts.delivery", title="A test alert arrives", params=NoParams)
def delivery(context: CheckContext, params: NoParams) -> CheckResult:
    """Whether every channel delivers."""
    return unable("This version has no channels for alerts to be delivered on.", _BY_HAND)


@check("alerts.changes", title="Alerts were changed since the incident", params=NoParams)
def changes(context: CheckContext, params: NoParams) -> CheckResult:
    """Which rules changed."""
    return unable(
        "This version has no alert rules that could have changed.", "Say on the item what was changed, and where."
    )


@check("alerts.notice", title="The team was told", params=NoParams)
def notice(context: CheckContext, params: NoParams) -> CheckResult:
    """Whether a notice was delivered."""
    return unable("This version sends no notices to a team.", "Tell them by your own means, and tick by hand.")
