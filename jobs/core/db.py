"""One way to PostgreSQL: SQLAlchemy over psycopg 3, embedded or a server.

A change is one `begin()` block: everything in it, with its audit rows, commits together or not at all.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from psycopg import DataError, adapters
from psycopg import Error as PsycopgError
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Loader
from psycopg.conninfo import make_conninfo
from psycopg.pq import Format
from psycopg.types.datetime import TimestamptzLoader
from psycopg.types.json import Jsonb
from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import InvalidatePoolError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from jobs.core.embedded import embedded_server
from jobs.core.errors import NexaError, TransientError
from jobs.core.settings import Settings


def jsonb(value: Any) -> Jsonb:
    """A value bound to a `jsonb` parameter; what JSON does not know (Decimal, UUID) goes as its text."""
    return Jsonb(value, dumps=lambda item: orjson.dumps(item, default=str))


EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
FARTHEST = datetime(9999, 12, 30, tzinfo=UTC)


REST_S = 1.0
"""After so long unused a connection is asked whether the server is still at its other end."""


class _AnyTime(Loader):
    """Times that Python has no value for (infinity, years beyond 9999 or before 1) as the nearest that it has.

    One such value in one row must not keep a whole batch, or a page, from being read. The others are left to psycopg's
    own loader, where it is compiled that one: it is ten times as fast.
    """

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        self._usual = (adapters.get_loader(oid, Format.TEXT) or TimestamptzLoader)(oid, context)

    def load(self, data: Buffer) -> datetime:
        try:
            found: datetime = self._usual.load(data)
            return found
        except DataError:
            written = bytes(data)
            return EARLIEST if written.startswith(b"-") or written.endswith(b"BC") else FARTHEST


class Database:
    """A pool of connections to one database."""

    def __init__(self, url: URL, *, pool_size: int = 5) -> None:
        self.url = url
        self.engine: Engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=pool_size,
            hide_parameters=True,  # an error's text goes to logs and runs; what it was about may be secret
            json_serializer=lambda value: orjson.dumps(value, default=str).decode(),
            json_deserializer=orjson.loads,
            connect_args={"application_name": "nexaops", "options": "-c timezone=UTC", "connect_timeout": 5},
        )
        event.listen(self.engine, "connect", _read_any_time)
        for moment in ("connect", "checkin"):
            event.listen(self.engine, moment, _used)
        event.listen(self.engine, "checkout", self._ask_after_rest)

    @property
    def conninfo(self) -> str:
        """The same database in libpq's own form, for those who bring their own connection."""
        return make_conninfo(
            host=str(self.url.query["host"]) if "host" in self.url.query else self.url.host,
            port=self.url.port,
            user=self.url.username,
            password=self.url.password,
            dbname=self.url.database,
            application_name="nexaops",
            options="-c timezone=UTC",
            connect_timeout=5,
        )

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One transaction: commits at the end, rolls back on any error."""
        with self.engine.begin() as conn:
            yield conn

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One read-only transaction."""
        with self.engine.connect() as conn:
            conn.execution_options(postgresql_readonly=True)
            with conn.begin():
                yield conn

    def close(self) -> None:
        self.engine.dispose()

    def _ask_after_rest(self, connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
        """Whether the server is still there, as `pool_pre_ping` would ask before each use: here only after a rest.

        A page has ten short reads one after another, and asking is a fourth of what one costs. A server that went away
        within the second is noticed by the statement itself.
        """
        if time.monotonic() - record.info["used_at"] < REST_S:
            return
        try:
            self.engine.dialect.do_ping(connection)
        except PsycopgError as error:
            raise InvalidatePoolError from error  # the pool opens another: the rest of its kind are no better


def _read_any_time(connection: Any, _record: Any) -> None:
    connection.adapters.register_loader("timestamptz", _AnyTime)


def _used(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info["used_at"] = time.monotonic()


@contextmanager
def open_database(settings: Settings, *, pool_size: int = 5) -> Iterator[Database]:
    """The database of the settings for the time of the block, created if it is embedded and new.

    Raises TransientError with one sentence if the server does not answer or refuses.
    """
    with ExitStack() as stack:
        if settings.embedded:
            url = _embedded_url(stack.enter_context(embedded_server(settings.home)), settings.db_name)
            _create_if_missing(url)
        else:
            url = URL.create(
                "postgresql+psycopg",
                username=settings.db_username,
                password=settings.db_password.get_secret_value() or None,
                host=settings.db_host,
                port=settings.db_port,
                database=settings.db_name,
            )
        database = Database(url, pool_size=pool_size)
        stack.callback(database.close)
        try:
            with database.read() as conn:
                conn.execute(text("SELECT 1"))
        except OperationalError as error:
            where = "the embedded server" if settings.embedded else f"{settings.db_host}:{settings.db_port}"
            raise TransientError(
                f"PostgreSQL at {where} cannot be used ({first_line(error)}): check DB_HOST, DB_PORT, DB_USERNAME, DB_PASSWORD "
                "and DB_NAME."
            ) from error
        yield database


def first_line(error: BaseException) -> str:
    """What the database, or whatever lies at the bottom, says: enough for one line of a log."""
    cause = error
    while (deeper := getattr(cause, "orig", None) or cause.__cause__) is not None:
        cause = deeper
    return (str(cause).strip() or type(cause).__name__).split("\n", 1)[0]


def require_migrated(database: Database) -> None:
    """Raises NexaError if the database has not been migrated; the sentence names the command."""
    with database.read() as conn:
        if conn.execute(text("SELECT to_regclass('ops.runs')")).scalar() is None:
            raise NexaError("The database has no tables of nexaops yet: run `nexaops migrate`.")


def _embedded_url(socket: Path, name: str) -> URL:
    return URL.create("postgresql+psycopg", username="postgres", database=name, query={"host": str(socket)})


def _create_if_missing(url: URL) -> None:
    admin = create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    try:
        with admin.connect() as conn:
            found = conn.execute(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": url.database})
            if found.scalar() is None:
                quoted = conn.dialect.identifier_preparer.quote_identifier(url.database or "")
                try:
                    conn.exec_driver_sql(f"CREATE DATABASE {quoted}")
                except Exception as error:  # another process that starts at the same moment may have been faster
                    if getattr(getattr(error, "orig", None), "sqlstate", None) not in ("42P04", "23505"):
                        raise
    finally:
        admin.dispose()
