"""The API on a real server behind the real gate, and clients that hold every answer against its own description."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
from jsonschema import Draft202012Validator
from starlette.applications import Starlette

from dashboard.api.app import ENDPOINTS, PREFIX, Api
from dashboard.api.openapi import describe
from dashboard.gate import Gate, SessionBook
from jobs.core.db import Database
from jobs.core.permissions import Role, Scope
from jobs.core.settings import Settings
from jobs.core.tokens import create_token
from tests.db.conftest import serving

DOCUMENT = describe(ENDPOINTS, PREFIX)


@dataclass
class Site:
    """A served API and its database."""

    base: str
    db: Database
    clients: list[httpx.Client] = field(default_factory=list)

    def token(self, name: str, *scopes: Scope, roles: tuple[Role, ...] = (Role.DEVELOPER,), days: int = 1) -> str:
        with self.db.begin() as conn:
            return create_token(
                conn, name, scopes, roles=roles, lasts=timedelta(days=days), actor="cli:test", origin="test"
            )

    def client(self, *scopes: Scope, name: str = "ci", roles: tuple[Role, ...] = (Role.DEVELOPER,)) -> httpx.Client:
        """A program with a new token of these scopes; of all if none is named."""
        return self.bearing(self.token(name, *(scopes or Scope), roles=roles))

    def bearing(self, token: str | None) -> httpx.Client:
        """A program that sends this as its token."""
        client = httpx.Client(
            base_url=f"{self.base}{PREFIX}",
            headers={} if token is None else {"authorization": f"Bearer {token}"},
            event_hooks={"response": [as_described]},
        )
        self.clients.append(client)
        return client


@contextmanager
def served(db: Database, settings: Settings) -> Iterator[Site]:
    """The API of this database, until the block ends."""
    book = SessionBook(db)
    app = Gate(Starlette(routes=[Api(settings, db, book).mount()]), settings=settings, book=book)
    with serving(app) as base:
        site = Site(base, db)
        yield site
        for client in site.clients:
            client.close()


def as_described(response: httpx.Response) -> None:
    """Fails unless the description knows this answer and its body."""
    response.read()
    problem = response.headers["content-type"] == "application/problem+json"
    assert problem is (response.status_code >= 400), response.text
    assert response.headers["cache-control"] == "no-store"
    path = response.request.url.path.removeprefix(PREFIX)
    operation = next(
        (
            operations[response.request.method.lower()]
            for template, operations in DOCUMENT["paths"].items()
            if re.fullmatch(template.replace("{item}", ".+").replace("{run}", "[^/]+").replace("{name}", "[^/]+"), path)
            and response.request.method.lower() in operations
        ),
        None,
    )
    schema: dict[str, Any] = {"$ref": "#/components/schemas/ProblemDocument"}
    if operation is not None:
        described = operation["responses"][str(response.status_code)]
        schema = next(iter(described["content"].values()))["schema"]
    if (operation is not None or problem) and response.request.method != "HEAD":
        Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(response.json())
