"""The deployed application over HTTP: it is up, it is the version that was meant, or it is down."""

from __future__ import annotations

import socket
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field

from checklists.checks.model import JSON, CheckContext, CheckParams, CheckResult, Unable, check, failed, judged, passed
from checklists.checks.reach import NoAnswer, Reply, address_of, fetch, seconds_left
from jobs.horizon.servers import label_of

_PATH = r"^/[A-Za-z0-9/_.-]*$"


class Place(CheckParams):
    """Which environment, and where it says how it is."""

    at: Literal["production", "staging"] = Field("production", description="the environment")
    path: str = Field("/health", pattern=_PATH, description="the path that is asked")


@check("http.health", title="The application answers", params=Place)
def health(context: CheckContext, params: Place) -> CheckResult:
    """200 at its health path, and no status in it that says otherwise."""
    try:
        reply = _ask(context, params)
    except NoAnswer as error:
        return failed(str(error), error.mend)
    said = _said(reply).get("status")
    well = reply.status == 200 and (said is None or str(said).lower() in ("ok", "up", "healthy", "pass"))
    return judged(
        well,
        f"{reply.server} answers {reply.status} at {params.path}"
        + (f" and says “{said}”" if said is not None else "")
        + f", after {reply.latency_ms:g} ms.",
        "See the application's log, and roll back if it does not get well.",
        status=reply.status,
        latency_ms=reply.latency_ms,
        says=said,
    )


class VersionParams(Place):
    """Where the version stands, and which one it has to be."""

    field: str = Field("version", pattern=r"^[A-Za-z0-9_.-]+$", description="its place in the JSON, parts with a dot")
    version: str | None = Field(
        None, max_length=100, description="the version; empty: the summary's, or the text on the item"
    )


@check("http.version", title="The right version is deployed", params=VersionParams)
def version(context: CheckContext, params: VersionParams) -> CheckResult:
    """What the application calls itself against the version of this run."""
    wanted = params.version or context.fields.get("version") or next(iter(context.given), None)
    if not wanted:
        raise Unable("Which version has to be there is not known.", "Write it on the item as a text, then look again.")
    try:
        reply = _ask(context, params)
    except NoAnswer as error:
        return failed(str(error), error.mend)
    found: JSON = _said(reply)
    for part in params.field.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    if not isinstance(found, str | int | float):
        raise Unable(
            f"{reply.server} answers {reply.status} at {params.path} without a field “{params.field}”.",
            "Let the application say its version there, or name another `path` and `field`.",
        )
    has, needs = str(found).strip().removeprefix("v"), wanted.strip().removeprefix("v")
    return judged(
        has == needs,
        f"{params.at.capitalize()} runs {found}" + ("." if has == needs else f", not {wanted}."),
        "Deploy the right version, or correct the version of this run.",
        has=str(found),
        needs=wanted,
    )


@check("http.down", title="The application is stopped", params=Place)
def down(context: CheckContext, params: Place) -> CheckResult:
    """Nobody listens: only a refused connection proves it, silence or an unknown name does not."""
    url = address_of(_url(context, params), _setting(params), f"the {params.at} environment")
    parts = urlsplit(url)
    label = label_of(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=seconds_left(context, 5)).close()
    except ConnectionRefusedError:
        return passed(f"Nothing listens at {label}.", listens=False)
    except OSError as error:
        raise Unable(
            f"{label} neither answers nor refuses ({type(error).__name__}): it may only be out of reach.",
            "Look on its own host that the application has ended.",
        ) from error
    try:
        reply = _ask(context, params)
    except NoAnswer:
        return failed(f"Something still listens at {label}.", "Stop the application on every host, then look again.")
    if reply.status in (502, 503, 504):
        return passed(f"A proxy at {label} says that nothing is behind it ({reply.status}).", status=reply.status)
    return failed(
        f"{label} still answers, with {reply.status}.",
        "Stop the application on every host, then look again.",
        status=reply.status,
    )


def _setting(params: Place) -> str:
    return "NEXAOPS_APP_URL" if params.at == "production" else "NEXAOPS_STAGING_URL"


def _url(context: CheckContext, params: Place) -> str | None:
    return context.settings.app_url if params.at == "production" else context.settings.staging_url


def _ask(context: CheckContext, params: Place) -> Reply:
    return fetch(
        context, address_of(_url(context, params), _setting(params), f"the {params.at} environment") + params.path
    )


def _said(reply: Reply) -> dict[str, JSON]:
    try:
        document = reply.json()
    except Unable:
        return {}
    return document if isinstance(document, dict) else {}
