"""What Statuspage's summary says, and what is none."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.horizon.health import Verdict
from jobs.probes.status_summary import read_summary, verdict_of

CALM: dict[str, Any] = {"status": {"indicator": "none", "description": "All Systems Operational"}, "incidents": []}


@pytest.mark.parametrize(
    ("indicator", "level", "verdict"),
    [
        ("none", 0, Verdict.OK),
        ("minor", 1, Verdict.WARN),
        ("maintenance", 1, Verdict.WARN),
        ("major", 2, Verdict.CRITICAL),
        ("critical", 3, Verdict.CRITICAL),
    ],
)
def test_an_indicator_has_a_level(indicator: str, level: int, verdict: Verdict) -> None:
    found = read_summary(CALM | {"status": {"indicator": indicator, "description": "So it is"}})
    assert (found.indicator, found.level, verdict_of(found.level)) == (indicator, level, verdict)


def test_a_sign_that_postgresql_does_not_take_is_left_out() -> None:
    found = read_summary(CALM | {"incidents": [{"name": "Slow\x00er", "status": "investigating"}]})
    assert found.incidents[0]["name"] == "Slower"


def test_only_parts_that_are_not_well_are_listed_and_groups_are_no_parts() -> None:
    found = read_summary(
        CALM
        | {
            "components": [
                {"name": "Horizon", "status": "degraded_performance", "group": False},
                {"name": "Website", "status": "operational"},
                {"name": "All of it", "status": "partial_outage", "group": True},
            ],
            "incidents": [{"name": "x" * 900, "status": "investigating", "impact": "minor", "started_at": None}] * 50,
            "scheduled_maintenances": [
                {
                    "name": "Upgrade",
                    "status": "scheduled",
                    "scheduled_for": "2026-12-01T10:00:00Z",
                    "scheduled_until": None,
                }
            ],
        }
    )
    assert found.components == ({"name": "Horizon", "status": "degraded_performance"},)
    assert len(found.incidents) == 20
    assert len(found.incidents[0]["name"]) == 300
    assert found.maintenances == (
        {"name": "Upgrade", "status": "scheduled", "at": "2026-12-01T10:00:00Z", "until": ""},
    )


@pytest.mark.parametrize(
    "document",
    [None, [], "fine", {}, {"status": "fine"}, {"status": {"indicator": "splendid"}, "incidents": []}, {"status": {}},
     CALM | {"incidents": ["one"]}, CALM | {"incidents": [{}]}, {"status": {"indicator": "none"}}],
)  # fmt: skip
def test_what_is_no_summary_is_a_value_error(document: Any) -> None:
    with pytest.raises(ValueError, match="not Statuspage's summary"):
        read_summary(document)
