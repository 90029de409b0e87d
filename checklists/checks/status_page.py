"""The status page of the Stellar network, by Statuspage's own summary: advice, never a proof of what Horizon does."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from checklists.checks.model import CheckContext, CheckParams, CheckResult, Unable, check, judged
from checklists.checks.reach import fetch, plural, some

_INDICATORS = ("none", "minor", "major", "critical")


class StatusParams(CheckParams):
    """How much trouble is accepted."""

    most: Literal["none", "minor", "major"] = Field("none", description="the worst indicator that is accepted")


@check("status_page.summary", title="The Stellar status page shows no incident", params=StatusParams)
def summary(context: CheckContext, params: StatusParams) -> CheckResult:
    """Open incidents, and the page's own indicator."""
    reply = fetch(context, f"{context.settings.status_page_url.rstrip('/')}/api/v2/summary.json")
    document = reply.json()
    try:
        indicator = document["status"]["indicator"]
        incidents = [str(each["name"]) for each in document["incidents"]]
        planned = [str(each["name"]) for each in document.get("scheduled_maintenances", [])]
        position = _INDICATORS.index(indicator)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unable(
            f"{reply.server} answered {reply.status} with something that is not Statuspage's summary.",
            "Check NEXAOPS_STATUS_PAGE_URL.",
        ) from error
    if reply.status != 200:
        raise Unable(f"{reply.server} answered {reply.status}.", "Check NEXAOPS_STATUS_PAGE_URL.")
    calm = position <= _INDICATORS.index(params.most) and (params.most != "none" or not incidents)
    return judged(
        calm,
        f"{reply.server} shows {plural(len(incidents), 'open incident')} ({indicator}): {some(incidents)}."
        if incidents
        else f"{reply.server} shows no incident (indicator: {indicator}).",
        "Read the incident and wait for its end before anything depends on the network.",
        indicator=indicator,
        incidents=incidents,
        scheduled_maintenances=planned,
    )
