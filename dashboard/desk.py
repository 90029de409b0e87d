"""What this process serves: one database under one set of settings.

Streamlit runs page scripts without arguments, so what the server was started with is kept here, once per process.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobs.core.db import Database
from jobs.core.errors import NexaError
from jobs.core.settings import Settings


@dataclass(frozen=True, slots=True)
class Desk:
    """The settings and the database that every page of this process works on."""

    settings: Settings
    db: Database

    @property
    def key(self) -> str:
        """Tells cached reads of one database from those of another in the same process."""
        return str(self.db.url)


_open: Desk | None = None


def open_desk(settings: Settings, db: Database) -> None:
    """Sets what the pages of this process work on, before the first one runs."""
    global _open  # noqa: PLW0603 - a script that Streamlit runs has no other way to its server
    _open = Desk(settings, db)


def desk() -> Desk:
    """What the pages of this process work on."""
    if _open is None:
        raise NexaError("The dashboard has no database yet: start it with `nexaops dashboard` or `nexaops up`.")
    return _open
