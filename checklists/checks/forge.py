"""The forge, by GitHub's API: is the commit green, who reviewed it, is the fix merged.

Which commit: one that stands on the item, else the tag of the run's version, else what the repository on this host has
checked out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import Field

from checklists.checks.database import NoParams
from checklists.checks.model import (
    JSON,
    CheckContext,
    CheckParams,
    CheckResult,
    Unable,
    check,
    failed,
    gathered,
    judged,
)
from checklists.checks.reach import address_of, fetch, plural, some
from checklists.checks.repository import git

_SHA = re.compile(r"\b[0-9a-f]{40}\b")
_PULL = re.compile(r"(?:/pull/|#|^)(\d{1,7})\b")
_GREEN = ("success", "neutral", "skipped")


@check("forge.ci", title="The tests of this commit passed", params=NoParams)
def ci(context: CheckContext, params: NoParams) -> CheckResult:
    """Every check run and status of the commit is green, and there is one."""
    sha = _commit(context)
    runs = _get(context, f"/commits/{sha}/check-runs?per_page=100")["check_runs"]
    statuses = _get(context, f"/commits/{sha}/status")["statuses"]
    states = {str(run["name"]): str(run["conclusion"] or run["status"]) for run in runs}
    states |= {str(each["context"]): str(each["state"]) for each in statuses}
    red = [f"{name} ({state})" for name, state in states.items() if state not in _GREEN]
    if red:
        return failed(f"Not green at {sha[:12]}: {some(red)}.", "Mend it, or wait for its end.", states=dict(states))
    if "success" not in states.values():
        raise Unable(f"No test of {sha[:12]} has passed there.", "Let the pipeline run on this commit.")
    return judged(True, f"All {len(states)} checks of {sha[:12]} are green.", "", states=dict(states))


@check("forge.approved", title="The change was approved by somebody else", params=NoParams)
def approved(context: CheckContext, params: NoParams) -> CheckResult:
    """The pull request of the commit has an approval that is not its author's, and nobody asks for changes."""
    sha = _commit(context)
    pulls = _pulls(context, sha)
    if not pulls:
        return failed(f"{sha[:12]} came by no pull request: nobody reviewed it.", "Have it reviewed.")
    seen: dict[str, JSON] = {}
    wrong = []
    for pull in pulls:
        verdicts = _verdicts(context, pull)
        name, author = f"#{pull['number']}", pull["user"]["login"]
        seen[name] = {"author": author, "reviews": dict(verdicts)}
        if "CHANGES_REQUESTED" in verdicts.values():
            wrong.append(f"{name} has changes asked for")
        elif "APPROVED" not in [state for who, state in verdicts.items() if who != author]:
            wrong.append(f"{name} by {author} has no approval of anybody else")
    return judged(
        not wrong,
        f"{some(wrong)}." if wrong else f"{some(list(seen))} is approved by somebody other than its author.",
        "Have it reviewed.",
        pulls=seen,
    )


class ReviewParams(CheckParams):
    """Which file."""

    path: str = Field(max_length=200, description="the end of its path")


@check("forge.reviewed", title="Who reviewed this file", params=ReviewParams)
def reviewed(context: CheckContext, params: ReviewParams) -> CheckResult:
    """The pull requests of the commit that change it, with their reviews, for the person who reads the code."""
    sha = _commit(context)
    seen: dict[str, JSON] = {}
    for pull in _pulls(context, sha):
        files = [str(each["filename"]) for each in _get(context, f"/pulls/{pull['number']}/files?per_page=100")]
        if any(name.endswith(params.path) for name in files):
            seen[f"#{pull['number']} {pull['title']}"] = dict(_verdicts(context, pull))
    if not seen:
        return gathered(f"The change of {sha[:12]} does not touch {params.path}.", commit=sha)
    return gathered(f"{params.path} is changed by {some(list(seen))}.", commit=sha, pulls=seen)


@check("forge.merged", title="The fix is merged", params=NoParams)
def merged(context: CheckContext, params: NoParams) -> CheckResult:
    """The pull requests that stand on the item."""
    numbers = list(dict.fromkeys(number for text in context.given for number in _PULL.findall(text.strip())))
    if not numbers:
        raise Unable("Which pull request fixes it is not known.", "Put its address on the item as a text.")
    pulls = {number: _get(context, f"/pulls/{number}") for number in numbers}
    open_ = [f"#{number}" for number, pull in pulls.items() if not pull["merged"]]
    words: dict[str, JSON] = {f"#{number}": f"{pull['title']} ({pull['state']})" for number, pull in pulls.items()}
    if open_:
        return failed(f"Not merged: {some(open_)}.", "Have it reviewed and merged.", pulls=words)
    return gathered(f"{plural(len(pulls), 'pull request')} merged: {some(list(words.values()))}.", pulls=words)  # type: ignore[arg-type]


def _get(context: CheckContext, path: str) -> Any:
    """What the forge answers, as JSON whose shape its documentation promises; a KeyError would be a fault of theirs."""
    base = address_of(context.settings.forge_url, "NEXAOPS_FORGE_URL", "the forge")
    held = context.settings.forge_token.get_secret_value()
    headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    reply = fetch(context, base + path, headers=headers | ({"Authorization": f"Bearer {held}"} if held else {}))
    if reply.status in (401, 403):
        raise Unable(f"{reply.server} refuses ({reply.status}).", "Set NEXAOPS_FORGE_TOKEN to one that may read this.")
    if reply.status in (404, 422):
        raise Unable(
            f"{reply.server} does not know {path.partition('?')[0]}.", "Check NEXAOPS_FORGE_URL and the token's rights."
        )
    if reply.status != 200:
        raise Unable(f"{reply.server} answered {reply.status}.", "Look again later.")
    try:
        return orjson.loads(reply.body)
    except orjson.JSONDecodeError as error:
        raise Unable(f"{reply.server} answered with something that is not JSON.", "Check NEXAOPS_FORGE_URL.") from error


def _commit(context: CheckContext) -> str:
    for given in context.given:
        if found := _SHA.search(given):
            return found[0]
    address_of(context.settings.forge_url, "NEXAOPS_FORGE_URL", "the forge")
    version = context.fields.get("version", "")
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", version):
        for tag in (f"v{version}", version):
            try:
                return str(_get(context, f"/commits/{tag}")["sha"])
            except Unable:
                continue
    if context.settings.repository is not None:
        return git(context, "rev-parse", "HEAD").strip()
    raise Unable(
        "Which commit is meant is not known.",
        "Put its full hash on the item, tag the version, or set NEXAOPS_REPOSITORY.",
    )


def _pulls(context: CheckContext, sha: str) -> list[dict[str, Any]]:
    return list(_get(context, f"/commits/{sha}/pulls"))


def _verdicts(context: CheckContext, pull: Mapping[str, Any]) -> dict[str, str]:
    """The last verdict of each reviewer; a comment takes none back."""
    verdicts: dict[str, str] = {}
    for review in _get(context, f"/pulls/{pull['number']}/reviews?per_page=100"):
        if review["state"] in ("APPROVED", "CHANGES_REQUESTED", "DISMISSED"):
            verdicts[str(review["user"]["login"])] = str(review["state"])
    return verdicts
