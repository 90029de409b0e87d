"""Settings: set, accepted, documented, and their secrets where only this desk can read them.

A variable is looked at as this process has read it (environment, `X_FILE` or `.env`), so that what is proved is what is
used. A value is never shown, only whether there is one; those of a closed list of words are.
"""

from __future__ import annotations

import os
import re
import stat

from pydantic import Field, SecretStr

from checklists.checks.database import ConnectionParams, NoParams, connection
from checklists.checks.model import (
    JSON,
    CheckContext,
    CheckParams,
    CheckResult,
    Unable,
    Verdict,
    check,
    failed,
    gathered,
    judged,
    passed,
)
from checklists.checks.reach import folder_of, plural, some
from checklists.checks.repository import git
from jobs.core.settings import Settings, variables

DATABASE = ("DB_HOST", "DB_PORT", "DB_USERNAME", "DB_PASSWORD", "DB_NAME")
CRITICAL = ("STELLAR_HORIZON_URL", "STELLAR_NETWORK", *DATABASE, "NODE_ENV")
_NAME = r"^[A-Z][A-Z0-9_]{0,99}$"
_FIELDS = {name: field for field, info in Settings.model_fields.items() for name in variables(info)}
_USED = (
    r"(process\.env(\.|\[['\"])|config(Service)?\.get(OrThrow)?(<[^>]*>)?\(['\"]"
    r"|environ(\.get\(|\[)['\"]|getenv\(['\"])[A-Z][A-Z0-9_]*"
)
_PLACEHOLDER = re.compile(r"^(<.*>|changeme|change_me|xxx+|todo|example|your[-_].*)$", re.IGNORECASE)


class PresentParams(CheckParams):
    """Which variables."""

    names: list[str] = Field(min_length=1, max_length=50, description="variables of the settings")


@check("settings.present", title="The variables are set", params=PresentParams)
def present(context: CheckContext, params: PresentParams) -> CheckResult:
    """Set explicitly: a default is not a choice, and the demo chooses for itself."""
    _known(params.names)
    if context.settings.demo:
        return failed(
            f"This is the demo: it does not look at {some(params.names)}.", f"Set {some(params.names)} and start again."
        )
    missing = [name for name in params.names if not _is_set(context.settings, name)]
    return judged(
        not missing,
        f"Not set: {some(missing, 10)}." if missing else f"Set and accepted: {some(params.names, 10)}.",
        f"Set {', '.join(missing)} in the environment, as .env.example says.",
        missing=missing,
    )


class OneOfParams(CheckParams):
    """Which variable, and what it may be."""

    name: str = Field(pattern=_NAME, description="a variable of the settings")
    accepted: list[str] = Field(min_length=1, max_length=20, description="the words that are accepted")


@check("settings.one_of", title="The variable is what it should be", params=OneOfParams)
def one_of(context: CheckContext, params: OneOfParams) -> CheckResult:
    """A variable against a closed list of words; it must be set explicitly."""
    _known([params.name])
    if context.settings.demo or not _is_set(context.settings, params.name):
        return failed(
            f"{params.name} is not set" + (": this is the demo." if context.settings.demo else "."),
            f"Set {params.name} to {' or '.join(params.accepted)}.",
        )
    value = getattr(context.settings, _FIELDS[params.name])
    if isinstance(value, SecretStr):
        raise Unable(f"{params.name} is a secret: it is not compared.", "Use settings.present for it.")
    return judged(
        str(value).strip() in params.accepted,
        f"{params.name} is {value}." if len(str(value)) <= 40 else f"{params.name} is something else.",
        f"Set {params.name} to {' or '.join(params.accepted)}.",
    )


@check("settings.database", title="DB_* are set and lead to the database", params=NoParams)
def database(context: CheckContext, params: NoParams) -> CheckResult:
    """All five, and PostgreSQL answers there."""
    found = present(context, PresentParams(names=list(DATABASE)))
    return found if found.verdict is not Verdict.PASSED else connection(context, ConnectionParams())


class DocumentedParams(CheckParams):
    """Which variables, where."""

    names: list[str] = Field(default=list(CRITICAL), max_length=200, description="these in any case")
    used: bool = Field(True, description="also every variable that the code reads")
    files: list[str] = Field(default=[".env.example", "README.md"], min_length=1, max_length=20)


@check("settings.documented", title="The variables are documented", params=DocumentedParams)
def documented(context: CheckContext, params: DocumentedParams) -> CheckResult:
    """Each stands in one of the documents of the application's repository."""
    folder = folder_of(context.settings.repository, "NEXAOPS_REPOSITORY", "the application's repository")
    texts = [(folder / name).read_text("utf-8", "replace") for name in params.files if (folder / name).is_file()]
    if not texts:
        return failed(f"The repository has none of {some(params.files)}.", "Write .env.example.")
    used: set[str] = set()
    if params.used:
        code = git(context, "grep", "-hoE", _USED, "HEAD", "--", ":!*.md", ":!*test*", fine=(0, 1))
        used = set(re.findall(r"\b[A-Z][A-Z0-9_]+$", code, re.MULTILINE))
        # This desk's own settings are read by a model, not by name.
        used |= set(_FIELDS) if (folder / "jobs" / "core" / "settings.py").is_file() else set()
    wanted = sorted({*params.names, *used})
    missing = [name for name in wanted if not any(re.search(rf"\b{name}\b", text) for text in texts)]
    return judged(
        not missing,
        f"Not documented: {some(missing, 8)}." if missing else f"All {len(wanted)} variables are documented.",
        f"Describe them in {params.files[0]}.",
        missing=missing,
        looked_for=wanted,
    )


class EnvFileParams(CheckParams):
    """Which file, and what has to stand in it."""

    file: str = Field(".env.production", pattern=r"^[A-Za-z0-9_./-]+$", max_length=200, description="in the repository")
    names: list[str] = Field(default=list(CRITICAL), min_length=1, max_length=200, description="variables")


@check("settings.env_file", title="The file has all variables, for its owner only", params=EnvFileParams)
def env_file(context: CheckContext, params: EnvFileParams) -> CheckResult:
    """Mode 0600, every key there with a value that is no placeholder; values are not shown."""
    folder = folder_of(context.settings.repository, "NEXAOPS_REPOSITORY", "the application's repository")
    file = folder / params.file
    if not file.is_file():
        return failed(f"There is no {params.file} in {folder}.", "Create it from .env.example, with mode 600.")
    mode = stat.S_IMODE(file.stat().st_mode)
    values = {}
    for line in file.read_text("utf-8", "replace").splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            values[name.strip()] = value.strip().strip("\"'")
    missing = [name for name in params.names if not values.get(name) and not values.get(f"{name}_FILE")]
    placeholders = [name for name in params.names if _PLACEHOLDER.match(values.get(name, ""))]
    output: dict[str, JSON] = {
        "mode": f"{mode:04o}",
        "missing": missing,
        "placeholders": placeholders,
        "keys": len(values),
    }
    if mode & 0o077:
        return failed(f"{params.file} has mode {mode:04o}: others may read it.", f"chmod 600 {params.file}", **output)
    if missing or placeholders:
        return failed(
            f"{params.file} has no value for {some([*missing, *placeholders], 10)}.", "Fill them in.", **output
        )
    return passed(f"{params.file} has all {len(params.names)} variables, and mode {mode:04o}.", **output)


@check("settings.secrets", title="Where the secrets are kept", params=NoParams)
def secrets(context: CheckContext, params: NoParams) -> CheckResult:
    """For each secret setting: a file, the environment or `.env`; and who may read what this desk keeps on disk."""
    kept = {}
    plain = []
    for name, field in _FIELDS.items():
        value = getattr(context.settings, field)
        if not isinstance(value, SecretStr) or not value.get_secret_value():
            continue
        source = os.environ.get(f"{name}_FILE")
        place = "a file" if source else "the environment" if os.environ.get(name) else ".env or the program"
        kept[name] = place
        plain += [name] if place.startswith(".env") else []
    readable = []
    home = context.settings.home
    if home.is_dir():
        readable = [
            str(path.relative_to(home))
            for path in home.iterdir()
            if path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077
        ]
    return gathered(
        f"{plural(len(kept), 'secret')} set"
        + (f", {some(plain)} in plain text in a file." if plain else ", none in plain text in a file.")
        + (f" Others may read {some(readable)} in NEXAOPS_HOME." if readable else ""),
        where=[f"{name}: {place}" for name, place in kept.items()],
        readable_by_others=readable,
    )


def _known(names: list[str]) -> None:
    unknown = [name for name in names if name not in _FIELDS]
    if unknown:
        raise Unable(f"{some(unknown)} is no setting of this desk.", "Correct the check's `names`.")


def _is_set(settings: Settings, name: str) -> bool:
    field = _FIELDS[name]
    value = getattr(settings, field)
    held = value.get_secret_value() if isinstance(value, SecretStr) else value
    return field in settings.model_fields_set and held not in (None, "", ())
