"""Every setting, its type, its default and what it is for, in one place.

Read from the environment and from `.env` in the working directory; `X_FILE` names a file that holds X, as container
secrets do (setting_sources.py). A wrong value is reported by the variable's own name with what is accepted, all wrong ones at once.
"""

from __future__ import annotations

import base64
import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import orjson
from platformdirs import user_data_path
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from jobs.core.errors import SettingsError
from jobs.core.setting_sources import FileSource, emptied_here, emptied_in_file
from jobs.core.setting_sources import variables as variables  # noqa: PLC0414 - where settings are, their names are
from jobs.core.setting_types import Hours, PersonAddress, SecretWebAddress, Zone
from jobs.core.thresholds import HorizonThresholds
from jobs.core.thresholds import setting as _setting

PASSPHRASES = {
    "PUBLIC": "Public Global Stellar Network ; September 2015",
    "TESTNET": "Test SDF Network ; September 2015",
}
DEMO_DATABASE = "nexaops_demo"
_WHSEC = "accepted is whsec_ followed by the base64 of 24 to 64 random bytes, as `openssl rand -base64 32` prints them"

_COMMANDS = 'accepted is JSON like {"lint": {"argv": ["npm", "run", "lint"], "cwd": "/srv/app", "timeout_s": 600}}'


class Command(BaseModel):
    """One command that checks may run: no shell reads it, and its time is limited."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    argv: tuple[str, ...] = Field(min_length=1, description="the program and its arguments")
    cwd: Path | None = Field(None, description="where it runs; NEXAOPS_REPOSITORY if left out")
    timeout_s: float = Field(600, gt=0, le=7200, description="seconds until it is killed with all that it started")
    junit: str | None = Field(None, description="the report of its tests in JUnit's XML, seen from `cwd`")
    artifact: str | None = Field(None, description="what it builds, a file or a pattern, seen from `cwd`")


class Settings(HorizonThresholds):
    """The settings of one process; frozen, so that what a run started with is what it ends with."""

    model_config = SettingsConfigDict(
        frozen=True, env_file=".env", env_file_encoding="utf-8", extra="ignore",
        env_ignore_empty=True,
    )  # fmt: skip

    horizon_urls: Annotated[tuple[str, ...], NoDecode] = _setting(
        "STELLAR_HORIZON_URL", (), "Horizon's address; of several, separated by commas, the healthiest is asked"
    )
    rpc_url: str | None = _setting(
        "STELLAR_RPC_URL", None, "Stellar RPC's address, asked by hash while no Horizon can be used"
    )
    network: Literal["PUBLIC", "TESTNET", "CUSTOM"] | None = _setting(
        "STELLAR_NETWORK", None, "the Stellar network: PUBLIC, TESTNET or CUSTOM"
    )
    network_passphrase: str | None = _setting("STELLAR_NETWORK_PASSPHRASE", None, "the passphrase of a CUSTOM network")
    rate_limit_per_hour: int = _setting(
        "STELLAR_RATE_LIMIT_PER_HOUR", 3600, "requests an hour that all workers together may send; 0: no limit", ge=0
    )
    db_host: str | None = _setting("DB_HOST", None, "PostgreSQL's host; none: an embedded PostgreSQL is started")
    db_port: int = _setting("DB_PORT", 5432, "PostgreSQL's port", ge=1, le=65535)
    db_username: str = _setting("DB_USERNAME", "postgres", "PostgreSQL's user")
    db_password: SecretStr = _setting("DB_PASSWORD", SecretStr(""), "PostgreSQL's password")
    db_name: str = _setting("DB_NAME", "nexafx", "the database", min_length=1, max_length=63)
    db_space_gb: float | None = _setting(
        "NEXAOPS_DB_SPACE_GB", None, "gigabytes that the database may fill on its server; none: nobody knows when it is full",
        gt=0,
    )  # fmt: skip
    app_env: str = Field(
        "development",
        validation_alias=AliasChoices("NODE_ENV", "APP_ENV"),
        description="production makes the Horizon address and network mandatory",
    )
    home: Path = _setting(
        "NEXAOPS_HOME", user_data_path("nexaops"), "the folder of the embedded database, secrets and backups"
    )
    demo: bool = _setting("NEXAOPS_DEMO", False, "run on the sandbox Horizon and a database of its own")
    concurrency: int = _setting("NEXAOPS_CONCURRENCY", 4, "runs that one worker takes at the same time", ge=1, le=64)
    run_memory_mb: int = _setting(
        "NEXAOPS_RUN_MEMORY_MB", 1024, "megabytes that one run and what it starts may hold; more ends it", ge=256
    )
    batch_size: int = _setting(
        "NEXAOPS_BATCH_SIZE", 500, "transactions settled in one database transaction", ge=1, le=10_000
    )
    horizon_timeout_s: float = _setting("NEXAOPS_HORIZON_TIMEOUT_S", 20.0, "seconds for one request", gt=0, le=300)
    horizon_attempts: int = _setting(
        "NEXAOPS_HORIZON_ATTEMPTS", 3, "tries of one request when the failure is transient", ge=1, le=10
    )
    horizon_parallel: int = _setting(
        "NEXAOPS_HORIZON_PARALLEL", 16, "requests that one run keeps open at the same time", ge=1, le=200
    )
    no_hash_after_min: int = _setting(
        "NEXAOPS_NO_HASH_AFTER_MIN", 60, "minutes until a transaction without a hash becomes a case", ge=1
    )
    expire_unproven_after_h: int = _setting(
        "NEXAOPS_EXPIRE_UNPROVEN_AFTER_H", 24, "hours until a transaction without any proof becomes a case", ge=1
    )
    pending_warn_min: int = _setting(
        "NEXAOPS_PENDING_WARN_MIN", 30, "minutes a transaction may be pending before the overview names it", ge=1
    )
    read_notifications_days: int = _setting(
        "NEXAOPS_READ_NOTIFICATIONS_DAYS", 30, "days that read notifications are kept", ge=1
    )
    unread_notifications_days: int = _setting(
        "NEXAOPS_UNREAD_NOTIFICATIONS_DAYS", 90, "days that unread notifications are kept", ge=1
    )
    backup_days: int = _setting("NEXAOPS_BACKUP_DAYS", 14, "days that backups are kept; the newest always is", ge=1)
    backup_key: SecretStr = _setting(
        "NEXAOPS_BACKUP_KEY",
        SecretStr(""),
        "what backups are encrypted with, an age identity: AGE-SECRET-KEY-1…; none: they are not",
    )
    run_log_days: int = _setting(
        "NEXAOPS_RUN_LOG_DAYS", 90, "days that the lines of runs' logs, and notices that have ended, are kept", ge=1
    )
    bundle_days: int = _setting(
        "NEXAOPS_BUNDLE_DAYS", 30, "days that incident bundles are kept; the newest always is", ge=1
    )
    delivered_events_days: int = _setting(
        "NEXAOPS_DELIVERED_EVENTS_DAYS", 90, "days that delivered events are kept", ge=1
    )
    reconciliation_days: int = _setting(
        "NEXAOPS_RECONCILIATION_DAYS",
        400,
        "days that looks at settled transactions, resolved findings and histories of wallets are kept",
        ge=1,
    )
    dashboard_address: str = _setting(
        "NEXAOPS_DASHBOARD_ADDRESS", "127.0.0.1", "the address that the dashboard listens on"
    )
    dashboard_port: int = _setting("NEXAOPS_DASHBOARD_PORT", 8501, "the dashboard's port", ge=1, le=65535)
    dashboard_hosts: Annotated[tuple[str, ...], NoDecode] = _setting(
        "NEXAOPS_DASHBOARD_HOSTS", (), "host names that the dashboard answers to, beside its own address"
    )
    session_hours: int = _setting("NEXAOPS_SESSION_HOURS", 12, "hours until a login ends", ge=1, le=720)
    public_metrics: bool = _setting("NEXAOPS_PUBLIC_METRICS", True, "whether /metrics answers without a login")
    webhook_url: str | None = _setting(
        "NEXAOPS_WEBHOOK_URL", None, "where events of settled transactions are sent; none: they wait in the outbox"
    )
    webhook_secret: SecretStr = _setting(
        "NEXAOPS_WEBHOOK_SECRET", SecretStr(""), "what events are signed with: whsec_ and the base64 of 24 to 64 bytes"
    )
    notice_urls: Annotated[tuple[SecretStr, ...], NoDecode] = _setting(
        "NEXAOPS_NOTICE_URLS", (), "the team's channels as Apprise writes them, such as slack://…, separated by commas"
    )
    person_url: PersonAddress = _setting(
        "NEXAOPS_PERSON_URL",
        SecretStr(""),
        "how one person is told, as Apprise writes it, with {email} in it: mailto://…?to={email}; none: the team is",
    )
    quiet_hours: Hours = _setting(
        "NEXAOPS_QUIET_HOURS", (), "when nobody is told of what can wait until they end: warn=22:00-07:00, by commas"
    )
    oncall_zone: Zone = _setting(
        "NEXAOPS_ONCALL_ZONE", "UTC", "the time zone of the quiet hours, such as Europe/Berlin"
    )
    dashboard_url: str | None = _setting(
        "NEXAOPS_DASHBOARD_URL", None, "where people reach the dashboard; notices link to it: https://ops.example.org"
    )
    ping_url: SecretWebAddress = _setting(
        "NEXAOPS_PING_URL",
        SecretStr(""),
        "called once a minute while the alerts work; whoever is behind it notices when they stop",
    )
    checklists_path: Annotated[tuple[Path, ...], NoDecode] = _setting(
        "NEXAOPS_CHECKLISTS_PATH",
        (),
        f"folders of further checklists, beside the shipped ones, separated by {os.pathsep}",
    )
    app_url: str | None = _setting("NEXAOPS_APP_URL", None, "the deployed application, for the checks of checklists")
    staging_url: str | None = _setting("NEXAOPS_STAGING_URL", None, "its staging environment, for the same")
    app_log: Path | None = _setting(
        "NEXAOPS_APP_LOG", None, "the deployed application's log on this host, one JSON object a line"
    )
    repository: Path | None = _setting(
        "NEXAOPS_REPOSITORY", None, "a git clone of the application, with its documents, on this host"
    )
    forge_url: str | None = _setting(
        "NEXAOPS_FORGE_URL", None, "its repository at GitHub's API, such as https://api.github.com/repos/OWNER/NAME"
    )
    forge_token: SecretStr = _setting(
        "NEXAOPS_FORGE_TOKEN", SecretStr(""), "a token that may read it: contents, pull requests, checks"
    )
    status_page_url: str | None = _setting(
        "NEXAOPS_STATUS_PAGE_URL",
        "https://status.stellar.org",
        "the status page of the Stellar network; empty: none is asked",
    )
    commands: Annotated[dict[str, Command], NoDecode] = _setting(
        "NEXAOPS_COMMANDS",
        {},
        'the only commands that checks may run, as JSON: {"lint": {"argv": ["npm", "run", "lint"]}}',
    )
    otlp_endpoint: str | None = _setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT", None, "where traces are sent, by OTLP over HTTP; none: there are none"
    )
    sentry_dsn: SecretStr = _setting(
        "SENTRY_DSN", SecretStr(""), "where errors of runs and pages are reported to Sentry; none: nowhere"
    )
    log_format: Literal["auto", "human", "json"] = _setting(
        "NEXAOPS_LOG_FORMAT", "auto", "human, json, or auto: human on a terminal"
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        "NEXAOPS_LOG_LEVEL", "info", "the least level that is logged"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (
            init_settings,
            env_settings,
            FileSource(settings_cls),
            emptied_here(settings_cls),
            dotenv_settings,
            emptied_in_file(settings_cls, dotenv_settings),
        )

    @field_validator("horizon_urls", mode="before")
    @classmethod
    def _split_urls(cls, value: Any) -> Any:
        urls = tuple(part.strip().rstrip("/") for part in value.split(",")) if isinstance(value, str) else value
        for url in urls:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("accepted are addresses like https://horizon.stellar.org, separated by commas")
        if len({(urlsplit(url).scheme, urlsplit(url).netloc.rpartition("@")[2].lower()) for url in urls}) < len(
            set(urls)
        ):
            raise ValueError("two addresses have the same host, by which servers are told apart: leave one of them out")
        return urls

    @field_validator("rpc_url")
    @classmethod
    def _one_url(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "http://none")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("accepted is one address like https://rpc.example.org")
        return value

    @field_validator("app_url", "staging_url", "forge_url", "status_page_url", "dashboard_url", "otlp_endpoint")
    @classmethod
    def _web_address(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "http://none")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("accepted is an address like https://app.example.org")
        return value

    @field_validator("dashboard_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @field_validator("notice_urls", mode="before")
    @classmethod
    def _split_channels(cls, value: Any) -> Any:
        # An address may hold commas of its own: the next one begins where a scheme does.
        urls = re.split(r"[\s,]+(?=[A-Za-z][A-Za-z0-9+.-]*://)", value.strip()) if isinstance(value, str) else value
        for url in urls:
            if isinstance(url, str) and not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", url):
                raise ValueError(
                    "accepted are addresses as Apprise writes them, such as slack://…, separated by commas"
                )
        return urls

    @field_validator("checklists_path", mode="before")
    @classmethod
    def _split_folders(cls, value: Any) -> Any:
        # Whole, because the dashboard changes its working directory.
        parts = value.split(os.pathsep) if isinstance(value, str) else value
        return tuple(Path(part).expanduser().absolute() for part in parts if part)

    @field_validator("commands", mode="before")
    @classmethod
    def _read_commands(cls, value: Any) -> Any:
        try:
            named = orjson.loads(value) if isinstance(value, str) else value
        except orjson.JSONDecodeError as error:
            raise ValueError(_COMMANDS) from error
        if not isinstance(named, dict) or not all(isinstance(body, dict | Command) for body in named.values()):
            raise ValueError(_COMMANDS)
        return named

    @field_validator("webhook_url")
    @classmethod
    def _check_webhook(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "")
        if value is not None and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("accepted is an address like https://receiver.example/events")
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _check_webhook_secret(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() and not 24 <= len(_webhook_key(value)) <= 64:
            raise ValueError(_WHSEC)
        return value

    @field_validator("backup_key")
    @classmethod
    def _check_backup_key(cls, value: SecretStr) -> SecretStr:
        # A file of age-keygen holds the key below lines that say when it was made and what its public half is.
        lines = [line.strip() for line in value.get_secret_value().splitlines()]
        key = "".join(line for line in lines if not line.startswith("#"))
        if key and not re.fullmatch(r"AGE-SECRET-KEY-1[0-9A-Z]{58}", key):
            raise ValueError("accepted is AGE-SECRET-KEY-1… as `age-keygen` prints it")
        return SecretStr(key)

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.webhook_url is not None and not self.webhook_key:
            raise ValueError(f"NEXAOPS_WEBHOOK_SECRET is not set, and events are never sent unsigned: {_WHSEC}")
        if self.person_url.get_secret_value() and not self.notice_urls:
            raise ValueError("NEXAOPS_NOTICE_URLS is not set: what cannot be told to a person is told to the team")
        if self.demo:
            return self
        if not self.horizon_urls and (self.db_host or self.production):
            raise ValueError(
                "STELLAR_HORIZON_URL is not set: accepted is an address like https://horizon.stellar.org "
                "(for a try on a sandbox, run `nexaops up --demo`)"
            )
        if self.horizon_urls and self.network is None:
            raise ValueError("STELLAR_NETWORK is not set: accepted are PUBLIC, TESTNET and CUSTOM")
        if self.network == "CUSTOM" and not self.network_passphrase:
            raise ValueError("STELLAR_NETWORK_PASSPHRASE is not set: a CUSTOM network needs its passphrase")
        if self.network in PASSPHRASES and self.network_passphrase not in (None, PASSPHRASES[self.network]):
            raise ValueError(
                f"STELLAR_NETWORK_PASSPHRASE is not the one of {self.network}: leave it out, or set "
                "STELLAR_NETWORK=CUSTOM"
            )
        return self

    @property
    def production(self) -> bool:
        return self.app_env.strip().lower() == "production"

    @property
    def embedded(self) -> bool:
        """Whether PostgreSQL is ours to start."""
        return self.demo or self.db_host is None

    @property
    def passphrase(self) -> str:
        """The passphrase of the configured network; every hash is checked under it."""
        if self.network in PASSPHRASES:
            return PASSPHRASES[self.network]
        return self.network_passphrase or ""

    @property
    def webhook_key(self) -> bytes:
        """What events are signed with, as bytes; empty where no secret is set."""
        return _webhook_key(self.webhook_secret)

    @property
    def network_label(self) -> str:
        """What every page says about where the money is: DEMO, PUBLIC, TESTNET or CUSTOM."""
        return "DEMO" if self.demo else self.network or "CUSTOM"

    @property
    def demo_file(self) -> Path:
        """Where `nexaops up` says at which address the demo's sandbox answers."""
        return self.home / "demo" / "sandbox.json"


def _webhook_key(secret: SecretStr) -> bytes:
    """The bytes of a secret as the Standard Webhooks specification writes it; empty if it is none."""
    prefix, mark, encoded = secret.get_secret_value().partition("_")
    try:
        return base64.b64decode(encoded, validate=True) if mark and prefix == "whsec" else b""
    except ValueError:
        return b""


def load_settings() -> Settings:
    """The settings of this process.

    With neither `STELLAR_HORIZON_URL` nor `DB_HOST` set it is the demo; the demo takes Horizon's address from what
    `nexaops up` left for it and looks at no other setting of database, network and receiver: real data never enters, and
    events of the demo never leave.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        raise SettingsError(" ".join(_sentence(problem) for problem in error.errors())) from error
    if not settings.demo and (settings.horizon_urls or settings.db_host):
        return settings
    sandbox: dict[str, str] = {}
    if settings.demo_file.exists():
        sandbox = orjson.loads(settings.demo_file.read_bytes())
    return settings.model_copy(
        update={
            "demo": True,
            "horizon_urls": (sandbox["url"],) if sandbox else (),
            "rpc_url": f"{sandbox['url']}/rpc" if sandbox else None,
            "status_page_url": f"{sandbox['url']}/sandbox/status" if sandbox else None,
            "network": "CUSTOM",
            "network_passphrase": sandbox.get("passphrase", "demo"),
            "rate_limit_per_hour": 0,
            "db_host": None,
            "db_name": DEMO_DATABASE,
            "webhook_url": None,  # no receiver may take play money for real
            "notice_urls": (),  # nor may a team be told of it
            "person_url": SecretStr(""),
            "ping_url": SecretStr(""),
            "sentry_dsn": SecretStr(""),
        }
    )


def unknown_settings(environ: Mapping[str, str]) -> list[str]:
    """One sentence for each `NEXAOPS_*` variable that is no setting: mostly a slip of the pen."""
    known = {name for field in Settings.model_fields.values() for name in variables(field)}
    known |= {f"{name}_FILE" for name in known}
    sentences = []
    for name in sorted(environ):
        if name.startswith("NEXAOPS_") and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            sentences.append(f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else "."))
    return sentences


def _sentence(problem: Mapping[str, Any]) -> str:
    message = str(problem["msg"]).removeprefix("Value error, ").rstrip(".")
    if not problem["loc"]:
        return f"{message}."
    name = str(problem["loc"][0])
    # A value may be a secret put under the wrong name: it is never repeated.
    return f"{name} is not accepted: {message[0].lower()}{message[1:]}."
