"""Where settings come from beside the environment and `.env`: files, and variables that are set to nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import AliasChoices
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource, PydanticBaseSettingsSource

from jobs.core.errors import SettingsError

CAN_BE_EMPTIED = ("status_page_url",)
"""Fields with a default that is switched off by setting the variable to nothing."""


def variables(field: FieldInfo) -> tuple[str, ...]:
    """The environment variables that set a field, the first one being the one to name."""
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return tuple(str(choice) for choice in alias.choices)
    return (str(alias),)


class FileSource(PydanticBaseSettingsSource):
    """Reads `X` from the file that `X_FILE` names; a file that cannot be read is an error, never an empty secret."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        for name in variables(field):
            path = os.environ.get(f"{name}_FILE")
            if path:
                try:
                    return Path(path).read_text(encoding="utf-8").strip(), name, False
                except OSError as error:
                    raise SettingsError(f"{name}_FILE names {path}, which cannot be read: {error.strerror}.") from error
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {}
        for field_name, field in self.settings_cls.model_fields.items():
            value, name, _ = self.get_field_value(field, field_name)
            if value is not None:
                found[name] = value
        return found


class EmptiedSource(PydanticBaseSettingsSource):
    """What `X=` switches off that has a default; elsewhere an empty variable is one that is not set."""

    def __init__(self, settings_cls: type[BaseSettings], given: Mapping[str, str | None]) -> None:
        super().__init__(settings_cls)
        self._given = given

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return None, variables(field)[0], False

    def __call__(self) -> dict[str, Any]:
        names = [variables(self.settings_cls.model_fields[name])[0] for name in CAN_BE_EMPTIED]
        return {name: None for name in names if self._given.get(name.lower()) == ""}


def emptied_here(settings_cls: type[BaseSettings]) -> EmptiedSource:
    """What the environment sets to nothing."""
    return EmptiedSource(settings_cls, EnvSettingsSource(settings_cls, env_ignore_empty=False).env_vars)


def emptied_in_file(settings_cls: type[BaseSettings], dotenv: PydanticBaseSettingsSource) -> EmptiedSource:
    """What the file of these settings sets to nothing."""
    env_file = dotenv.env_file if isinstance(dotenv, DotEnvSettingsSource) else None
    return EmptiedSource(settings_cls, DotEnvSettingsSource(settings_cls, env_file, env_ignore_empty=False).env_vars)
