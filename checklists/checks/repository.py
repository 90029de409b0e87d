"""The application's git repository: what is committed and pushed, what must never be in it, what changed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import orjson
from pydantic import Field

from checklists.checks.database import NoParams
from checklists.checks.model import CheckContext, CheckParams, CheckResult, Unable, check, failed, gathered, judged
from checklists.checks.process import run_program
from checklists.checks.reach import folder_of, plural, seconds_left, some
from jobs.core.logs import secrets_of

_GIT_S = 120.0
_MOST_OUTPUT = 64 << 20
_FILE = Field(".env.production", pattern=r"^[A-Za-z0-9_.][A-Za-z0-9_./-]*$", max_length=200, description="its path")
_SECRETS = (
    ("a Stellar secret key", re.compile(r"\bS[A-Z2-7]{55}\b")),
    ("a private key", re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----")),
    ("an AWS key", re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    ("a GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})\b")),
    ("a Slack token", re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}")),
    ("credentials in an address", re.compile(r"://[^/\s:@${}<>\[\]\"']+:[^/\s:@${}<>\[\]\"']{3,}@[\w.-]+")),
    (
        "a variable with its secret",
        re.compile(
            r"^\s*(?:export\s+)?[A-Z_]*(?:PASSWORD|SECRET|TOKEN|API_KEY)\s*[:=]\s*[\"']?(?![<$*{\"'\s])[^\s\"']{6,}"
        ),
    ),
)


def git(context: CheckContext, *arguments: str, fine: tuple[int, ...] = (0,)) -> str:
    """What git prints in the configured repository; Unable if it ends otherwise than with a `fine` exit code."""
    folder = folder_of(context.settings.repository, "NEXAOPS_REPOSITORY", "the application's repository")
    # A file system monitor is a program that a repository's own configuration names: never started from here.
    argv = ("git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "core.quotepath=false", *arguments)
    ended = run_program(argv, cwd=folder, timeout_s=seconds_left(context, _GIT_S), most=_MOST_OUTPUT)
    if ended.exit_code is None:
        raise Unable(f"git {arguments[0]} did not end in time.", "Look again when the host is less busy.")
    if ended.exit_code not in fine:
        said = ended.output.strip().split("\n")[-1][:300]
        raise Unable(f"git {arguments[0]} failed: {said}", "See that NEXAOPS_REPOSITORY is a whole git clone.")
    if ended.cut:
        raise Unable(
            f"git {arguments[0]} says more than can be looked at here.", "Look at it by another tool, by hand."
        )
    return ended.output


def last_tag(context: CheckContext) -> str | None:
    """The newest tag that HEAD descends from; None if there is none."""
    found = git(context, "describe", "--tags", "--abbrev=0", "HEAD", fine=(0, 128)).strip()
    return found if found and not found.startswith("fatal:") else None


@check("repository.pushed", title="All code is committed and pushed", params=NoParams)
def pushed(context: CheckContext, params: NoParams) -> CheckResult:
    """A clean working copy whose HEAD is in its upstream branch."""
    dirty = [line for line in git(context, "status", "--porcelain").splitlines() if line.strip()]
    if dirty:
        return failed(
            f"{plural(len(dirty), 'file')} not committed: {some([line[3:] for line in dirty])}.",
            "Commit or remove them.",
            files=dirty[:100],
        )
    head = git(context, "rev-parse", "HEAD").strip()
    upstream = git(context, "rev-parse", "--abbrev-ref", "--symbolic-full-name", "@{upstream}", fine=(0, 128)).strip()
    if not upstream or upstream.startswith("fatal:"):
        raise Unable("The branch has no upstream: nobody can tell what is pushed.", "git push --set-upstream.")
    ahead = git(context, "log", "--oneline", f"{upstream}..HEAD").splitlines()
    return judged(
        not ahead,
        f"{plural(len(ahead), 'commit')} not pushed to {upstream}."
        if ahead
        else f"{head[:12]} is clean and in {upstream}.",
        "git push",
        commit=head,
        not_pushed=ahead[:50],
    )


class FileParams(CheckParams):
    """Which file."""

    file: str = _FILE


@check("repository.untracked", title="The file was never committed", params=FileParams, timeout_s=300)
def untracked(context: CheckContext, params: FileParams) -> CheckResult:
    """Not tracked now, in no commit of any branch, and ignored."""
    _require_whole(context)
    anywhere = f":(glob)**/{params.file}"
    if git(context, "ls-files", "--", anywhere).strip():
        return failed(
            f"{params.file} is tracked.", f"git rm --cached {params.file}, ignore it, and replace every secret in it."
        )
    commits = git(context, "log", "--all", "--full-history", "--oneline", "--", anywhere).splitlines()
    if commits:
        return failed(
            f"{params.file} is in the history: {plural(len(commits), 'commit')}.",
            "Replace every secret that was in it; rewriting the history alone does not take them back.",
            commits=commits[:50],
        )
    ignored = git(context, "check-ignore", "--no-index", params.file, fine=(0, 1)).strip()
    return judged(
        bool(ignored),
        f"{params.file} was never committed" + (" and is ignored." if ignored else ", but nothing ignores it."),
        f"Add {params.file} to .gitignore.",
    )


class SecretParams(CheckParams):
    """What is not looked at."""

    skip: list[str] = Field(
        default=["*.example", "*.lock", "*lock.json", "*/test/*", "*/tests/*", "test/*", "tests/*"],
        max_length=50,
        description="paths whose secrets are known to be none, with *",
    )


@check("repository.secrets", title="No secret in the code or its history", params=SecretParams, timeout_s=300)
def secrets(context: CheckContext, params: SecretParams) -> CheckResult:
    """Every line that any commit ever added, by shape and by the secrets of these settings; found ones are not repeated."""
    _require_whole(context)
    known = secrets_of(context.settings)
    found: Counter[str] = Counter()
    lines = 0
    for commit, path, line in _added(
        git(context, "log", "--all", "-p", "-U0", "--no-color", "--no-ext-diff", "--format=commit %H")
    ):
        lines += 1
        if any(fnmatch(path, pattern) for pattern in params.skip):
            continue
        kinds = [what for what, pattern in _SECRETS if pattern.search(line)]
        kinds += ["a secret of these settings"] if any(secret in line for secret in known) else []
        found.update(f"{what} in {path} ({commit[:10]})" for what in kinds)
    if not lines:
        raise Unable("The repository has no line of code.", "See that NEXAOPS_REPOSITORY is the right clone.")
    return judged(
        not found,
        f"{some(list(found), 3)}." if found else f"No secret in {plural(lines, 'line')} of code and history.",
        "Replace each secret with a new one first, then take it out of the code.",
        found=sorted(found)[:100],
    )


@check("repository.changes", title="What changed since the last version", params=NoParams)
def changes(context: CheckContext, params: NoParams) -> CheckResult:
    """Commits and files since the last tag."""
    tag = last_tag(context)
    span = f"{tag}..HEAD" if tag else "HEAD"
    commits = git(context, "log", "--format=%h %cs %an: %s", "--max-count=200", span).splitlines()
    files = git(context, "diff", "--stat=120", tag, "HEAD").splitlines() if tag else []
    return gathered(
        f"{plural(len(commits), 'commit')} since {tag}."
        if tag
        else f"No tag yet; the last {plural(len(commits), 'commit')}.",
        commits=commits,
        files=files[-100:],
    )


class ApiParams(CheckParams):
    """Which document describes the API."""

    file: str = Field("openapi.json", pattern=r"^[A-Za-z0-9_.][A-Za-z0-9_./-]*\.json$", description="OpenAPI, as JSON")


@check("repository.api_changes", title="What changed in the API", params=ApiParams)
def api_changes(context: CheckContext, params: ApiParams) -> CheckResult:
    """Operations that are gone, new required parameters, and what was added, since the last tag."""
    tag = last_tag(context)
    if tag is None:
        raise Unable("There is no tag to compare with.", "Tag the version that is in production.")
    before, after = _operations(context, tag, params.file), _operations(context, "HEAD", params.file)
    gone = sorted(set(before) - set(after))
    stricter = sorted(
        f"{name} now requires {', '.join(sorted(after[name] - before[name]))}"
        for name in set(before) & set(after)
        if after[name] - before[name]
    )
    return gathered(
        f"Since {tag}: {plural(len(gone), 'operation')} gone, {len(stricter)} stricter, "
        f"{len(set(after) - set(before))} new.",
        gone=gone,
        stricter=stricter,
        new=sorted(set(after) - set(before)),
    )


def _operations(context: CheckContext, commit: str, file: str) -> dict[str, set[str]]:
    """The required parameters of every operation in one commit's document."""
    written = git(context, "show", f"{commit}:{file}", fine=(0, 128))
    try:
        document = orjson.loads(written)
        return {
            f"{method.upper()} {path}": {
                str(one.get("name")) for one in operation.get("parameters", []) if one.get("required")
            }
            | ({"a body"} if operation.get("requestBody", {}).get("required") else set())
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
            if isinstance(operation, dict)
        }
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise Unable(
            f"{file} cannot be read in {commit}.",
            "Commit the OpenAPI document of each version, or name another `file`.",
        ) from error


def _require_whole(context: CheckContext) -> None:
    if git(context, "rev-parse", "--is-shallow-repository").strip() == "true":
        raise Unable("The clone is shallow: its history is cut.", "git fetch --unshallow")


def _added(log: str) -> Iterator[tuple[str, str, str]]:
    """Each added line with its commit and path."""
    commit, path = "", ""
    for line in log.splitlines():
        if line.startswith("commit "):
            commit = line[7:]
        elif line.startswith("+++ "):
            path = line[4:].removeprefix("b/")
        elif line.startswith("+"):
            yield commit, path, line[1:]


def tracked(context: CheckContext, patterns: list[str]) -> list[Path]:
    """The tracked files that match, as paths on this host."""
    folder = folder_of(context.settings.repository, "NEXAOPS_REPOSITORY", "the application's repository")
    names = git(context, "ls-files", "--", *(f":(glob){pattern}" for pattern in patterns)).splitlines()
    return [folder / name for name in names]
