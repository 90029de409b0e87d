"""The reads of the pages Releases, Calendar and Contacts."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Connection

from checklists import contacts as book
from checklists import releases as reads
from checklists.reads import RunSummary, list_runs
from checklists.releases import ItemTime, Release, Skipped, Version
from checklists.reviews import last_reviews, next_review
from checklists.schema import Template
from checklists.upcoming import Entry, entries
from dashboard.queries import cached
from dashboard.queries_checklists import remembered, templates

PAGE = 20


def whole_templates() -> list[Template]:
    """The definitions that can be used."""
    return [found for found in templates() if isinstance(found, Template)]


@cached(ttl=3)
def under_way(conn: Connection, most: int = 20) -> tuple[Release, ...]:
    """The newest releases that are under way, each whole: what holds it up follows from all its lines."""
    return tuple(reads.standing(run) for run in remembered.look(conn, reads.under_way(conn, most)))


@cached(ttl=5)
def ended(conn: Connection, before_id: int | None) -> tuple[RunSummary, ...]:
    """One page of ended releases and one row more, if there is one."""
    return tuple(list_runs(conn, ended=True, kind=reads.DEPLOYMENT, before_id=before_id, limit=PAGE + 1))


@cached(ttl=30)
def lessons(conn: Connection, template_id: str) -> tuple[tuple[ItemTime, ...], tuple[Skipped, ...]]:
    """What takes longest in a list, and what is usually skipped."""
    return reads.item_times(conn, template_id), reads.usually_skipped(conn, template_id)


@cached(ttl=10)
def versions(conn: Connection) -> tuple[Version, ...]:
    """What ran in production."""
    return reads.versions(conn)


@cached(ttl=5)
def calendar(conn: Connection, since: datetime, until: datetime) -> tuple[Entry, ...]:
    """Everything of a span of days."""
    return tuple(entries(conn, whole_templates(), since, until))


@cached(ttl=5)
def contacts(conn: Connection) -> tuple[book.Contact, ...]:
    """Whom to call, in the order of the lists."""
    return tuple(book.list_contacts(conn, whole_templates()))


@cached(ttl=10)
def reviews(conn: Connection) -> dict[str, date | None]:
    """The day on which each definition is to be reviewed."""
    recorded = last_reviews(conn)
    return {template.id: next_review(template, recorded) for template in whole_templates()}
