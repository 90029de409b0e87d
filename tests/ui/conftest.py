"""The two that most tests of pages begin with: somebody who looks, and a user whose money it is."""

from __future__ import annotations

from uuid import UUID

import pytest

from jobs.core.db import Database
from jobs.core.permissions import Role
from tests.ui import money, seed


@pytest.fixture
def viewer(db: Database) -> UUID:
    return seed.person(db, Role.VIEWER)


@pytest.fixture
def ada(db: Database) -> money.User:
    return money.add_user(db)
