"""When a signal of Horizon warns and when it is critical: the settings that say so, part of `Settings`."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings


def setting(name: str, default: Any, description: str, **limits: Any) -> Any:
    """A field read from the environment variable `name`."""
    return Field(default, validation_alias=name, description=description, **limits)


class HorizonThresholds(BaseSettings):
    """Seconds, ledgers, milliseconds and shares of one; critical never before warn."""

    horizon_age_warn_s: float = setting("NEXAOPS_HORIZON_AGE_WARN_S", 20.0, "age of the newest ledger: warn", gt=0)
    horizon_age_critical_s: float = setting(
        "NEXAOPS_HORIZON_AGE_CRITICAL_S", 60.0, "age of the newest ledger: critical", gt=0
    )
    horizon_lag_warn: int = setting("NEXAOPS_HORIZON_LAG_WARN", 3, "ledgers behind the core: warn", ge=1)
    horizon_lag_critical: int = setting("NEXAOPS_HORIZON_LAG_CRITICAL", 10, "ledgers behind the core: critical", ge=1)
    horizon_ingestion_warn_s: float = setting(
        "NEXAOPS_HORIZON_INGESTION_WARN_S", 30.0, "seconds that ingestion is behind the history: warn", gt=0
    )
    horizon_ingestion_critical_s: float = setting(
        "NEXAOPS_HORIZON_INGESTION_CRITICAL_S", 120.0, "seconds that ingestion is behind the history: critical", gt=0
    )
    horizon_p95_warn_ms: float = setting(
        "NEXAOPS_HORIZON_P95_WARN_MS", 2000.0, "milliseconds of the slowest 5 % of answers: warn", gt=0
    )
    horizon_p95_critical_ms: float = setting(
        "NEXAOPS_HORIZON_P95_CRITICAL_MS", 10000.0, "milliseconds of the slowest 5 % of answers: critical", gt=0
    )
    horizon_errors_warn: float = setting(
        "NEXAOPS_HORIZON_ERRORS_WARN", 0.05, "share of requests that fail: warn", gt=0, le=1
    )
    horizon_errors_critical: float = setting(
        "NEXAOPS_HORIZON_ERRORS_CRITICAL", 0.25, "share of requests that fail: critical", gt=0, le=1
    )
    horizon_budget_warn: float = setting(
        "NEXAOPS_HORIZON_BUDGET_WARN", 0.2, "share left of the hour's requests: warn below", ge=0, lt=1
    )
    horizon_budget_critical: float = setting(
        "NEXAOPS_HORIZON_BUDGET_CRITICAL", 0.05, "share left of the hour's requests: critical below", ge=0, lt=1
    )
    horizon_capacity_warn: float = setting(
        "NEXAOPS_HORIZON_CAPACITY_WARN", 0.9, "how full ledgers are, as a share of one: warn", gt=0, le=1
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for signal, unit in (("age", "_s"), ("lag", ""), ("ingestion", "_s"), ("p95", "_ms"), ("errors", "")):
            warn, critical = f"horizon_{signal}_warn{unit}", f"horizon_{signal}_critical{unit}"
            if getattr(self, critical) < getattr(self, warn):
                raise ValueError(f"NEXAOPS_{critical.upper()}: accepted is a number not below NEXAOPS_{warn.upper()}")
        if self.horizon_budget_critical > self.horizon_budget_warn:
            raise ValueError(
                "NEXAOPS_HORIZON_BUDGET_CRITICAL: accepted is a number not above NEXAOPS_HORIZON_BUDGET_WARN"
            )
        return self
