"""Finds checks by name and runs them, whatever happens: a check that breaks, hangs or loses its server never passes."""

from __future__ import annotations

import difflib
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import import_module

from pydantic import TypeAdapter
from sqlalchemy.exc import SQLAlchemyError

from checklists.checks.model import JSON, REGISTRY, CheckContext, CheckParams, CheckResult, CheckSpec, Unable, unable
from jobs.core.db import first_line
from jobs.core.errors import NexaError, NotFound
from jobs.core.logs import get_logger, redact, redact_value, secrets_of
from jobs.core.settings import Settings

log = get_logger(__name__)
FAMILIES = (
    "access", "alerts", "audit", "backup", "books", "commands", "composite", "database", "database_load", "documents", "evidence",
    "flags", "forge", "horizon", "http", "jobs", "logs", "metrics", "notifications", "repository", "resources",
    "runs", "settings", "status_page", "synthetic", "transactions",
)  # fmt: skip
_LONGEST_TEXT = 4_000
_LONGEST_LIST = 200
_ASK_AGAIN = "Run the check again once it answers."


def find_check(name: str) -> CheckSpec:
    """The check of that name; NotFound with the nearest names."""
    checks = list_checks()
    if name in checks:
        return checks[name]
    near = difflib.get_close_matches(name, checks, 3, cutoff=0.5)
    meant = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(checks)}."
    raise NotFound(f"There is no check {name!r}: {meant}")


@cache
def list_checks() -> Mapping[str, CheckSpec]:
    """Every check by name, in the order of their names."""
    for family in FAMILIES:
        import_module(f"checklists.checks.{family}")
    return dict(sorted(REGISTRY.items()))


def run_check(
    name: str, with_: Mapping[str, object], context: CheckContext, *, timeout_s: float | None = None
) -> CheckResult:
    """Runs a check with the parameters of its definition and returns what it found; never raises.

    It is given up after `timeout_s` seconds, its own limit if None. Whatever it cannot see is UNABLE, in one sentence.
    Secrets are taken out of everything that it returns, and what is too long is cut.
    """
    try:
        spec = find_check(name)
        params = spec.read(with_)
    except NexaError as error:
        return _presentable(
            unable(str(error), "Correct the check in the definition, then start a new run."), context.settings
        )
    limit = spec.timeout_s if timeout_s is None else timeout_s
    if context.deadline is not None:
        limit = max(0.1, min(limit, context.deadline - time.monotonic()))  # a part of another check
    found: list[CheckResult] = []
    context = replace(context, deadline=time.monotonic() + limit)
    # Left behind when it hangs: its statements, requests and commands end by the same deadline.
    thread = threading.Thread(
        target=lambda: found.append(_guarded(spec, params, context)), name=f"check {name}", daemon=True
    )
    thread.start()
    thread.join(limit + 0.5)
    result = found[0] if found else unable(f"“{spec.title}” did not end within {limit:g} s.", _ASK_AGAIN)
    return _presentable(result, context.settings)


def _guarded(spec: CheckSpec, params: CheckParams, context: CheckContext) -> CheckResult:
    try:
        return spec.function(context, params)
    except Unable as error:
        return unable(str(error), error.mend)
    except NexaError as error:
        return unable(f"It cannot be looked at: {error}", _ASK_AGAIN)
    except SQLAlchemyError as error:
        return unable(
            f"PostgreSQL did not answer ({first_line(error)}).",
            "Check the database, then run the check again; `database.connection` says more.",
        )
    except OSError as error:
        return unable(f"It cannot be read ({error.strerror or type(error).__name__}).", _ASK_AGAIN)
    except Exception as error:  # the boundary: a fault in a check must neither pass nor take its caller down
        log.exception("a check broke", check=spec.name)
        return unable(
            f"The check itself broke ({type(error).__name__}).",
            "Judge the item by hand, and report this: the log of this process has the trace.",
        )


def _presentable(result: CheckResult, settings: Settings) -> CheckResult:
    """Without secrets, as plain JSON, and no longer than somebody would read."""
    secrets = secrets_of(settings)

    def clean(text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, "[secret]")
        text = redact(text.replace("\x00", ""))
        return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]} …"

    def tidy(value: JSON, key: str) -> JSON:
        if isinstance(value, str):
            return clean(str(redact_value(key, value)))
        if isinstance(value, Mapping):
            return {clean(str(name)): tidy(item, str(name)) for name, item in list(value.items())[:_LONGEST_LIST]}
        if isinstance(value, list):
            return [tidy(item, key) for item in value[:_LONGEST_LIST]]
        return value

    plain: dict[str, JSON] = _PLAIN.dump_python(dict(result.output), mode="json", fallback=str)
    output = {name: tidy(value, name) for name, value in plain.items()}
    return CheckResult(
        result.verdict, clean(result.summary), output, None if result.mend is None else clean(result.mend)
    )


_PLAIN: TypeAdapter[object] = TypeAdapter(object)
