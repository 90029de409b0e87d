"""The status page of the Stellar network, by Statuspage's own summary: advice, never a proof of what Horizon does."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from checklists.checks.model import CheckContext, CheckParams, CheckResult, Unable, check, judged
from checklists.checks.reach import ANSWER_S, address_of, plural, seconds_left, some
from jobs.horizon.servers import label_of
from jobs.probes.status_page import NoSummary, look
from jobs.probes.status_summary import INDICATORS


class StatusParams(CheckParams):
    """How much trouble is accepted."""

    most: Literal["none", "minor", "major"] = Field("none", description="the worst indicator that is accepted")


@check("status_page.summary", title="The Stellar status page shows no incident", params=StatusParams)
def summary(context: CheckContext, params: StatusParams) -> CheckResult:
    """Open incidents, and the page's own indicator."""
    url = address_of(context.settings.status_page_url, "NEXAOPS_STATUS_PAGE_URL", "the network's status page")
    try:
        found = look(url, seconds_left(context, ANSWER_S))
    except NoSummary as error:
        raise Unable(str(error), "Check NEXAOPS_STATUS_PAGE_URL, and that this host may reach it.") from error
    page, incidents = label_of(url), [each["name"] for each in found.incidents]
    calm = found.level <= INDICATORS.index(params.most) and (params.most != "none" or not incidents)
    return judged(
        calm,
        f"{page} shows {plural(len(incidents), 'open incident')} ({found.indicator}): {some(incidents)}."
        if incidents
        else f"{page} shows no incident (indicator: {found.indicator}).",
        "Read the incident and wait for its end before anything depends on the network.",
        indicator=found.indicator,
        incidents=incidents,
        scheduled_maintenances=[each["name"] for each in found.maintenances],
    )
