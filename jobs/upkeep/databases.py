"""Whole databases beside the one in use: created alike, dropped, and put in its place.

All of it from the server's own database, outside of any transaction but for the swap, which is one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from jobs.core.db import Database
from jobs.core.errors import Conflict, NexaError, TransientError

Admin = psycopg.Connection[tuple[Any, ...]]

SCRATCH = "nexaops_scratch_"
_SWAP_TRIES = 5

_LIKE = """
SELECT to_jsonb(d), pg_encoding_to_char(d.encoding), t.spcname, pg_get_userbyid(d.datdba)
FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace WHERE d.datname = %s
"""
# What belongs to a database and is not in its dump: settings and rights.
_BELONGINGS = """
SELECT format('ALTER %%s SET %%I %%s %%s',
              CASE WHEN s.setrole = 0 THEN format('DATABASE %%I', %(name)s::text)
                   ELSE format('ROLE %%I IN DATABASE %%I', pg_get_userbyid(s.setrole), %(name)s::text) END,
              split_part(c.setting, '=', 1), 'TO', quote_literal(substr(c.setting, strpos(c.setting, '=') + 1)))
FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase CROSS JOIN unnest(s.setconfig) AS c (setting)
WHERE d.datname = %(like)s
UNION ALL
SELECT format('REVOKE ALL ON DATABASE %%I FROM PUBLIC', %(name)s::text)
FROM pg_database WHERE datname = %(like)s AND datacl IS NOT NULL
UNION ALL
SELECT format('GRANT %%s ON DATABASE %%I TO %%s%%s', a.privilege_type, %(name)s::text,
              CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
              CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_database d CROSS JOIN aclexplode(d.datacl) AS a WHERE d.datname = %(like)s AND a.grantee <> d.datdba
"""
_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}


@contextmanager
def administering(db: Database) -> Iterator[Admin]:
    """A connection to the server that is not to the database itself; TransientError if there is none to be had."""
    failures = []
    for name in sorted({"postgres", "template1"} - {str(db.url.database)}):
        try:
            admin = psycopg.connect(make_conninfo(db.conninfo, dbname=name), autocommit=True)
        except psycopg.OperationalError as error:
            failures.append(str(error).strip().split("\n", 1)[0])
            continue
        with admin:
            yield admin
        return
    raise TransientError(
        f"No other database of the server can be reached ({failures[0]}): let this user connect to `postgres`."
    )


def create_like(admin: Admin, name: str, like: str, *, whole: bool) -> None:
    """An empty database with the encoding and order of another; `whole`: also with its owner, settings and rights.

    Raises NexaError where this user may not.
    """
    found = admin.execute(_LIKE, (like,)).fetchone()
    if found is None:
        raise NexaError(f"There is no database {like} on the server.")
    as_it_is, encoding, space, owner = found
    provider = _PROVIDERS.get(as_it_is.get("datlocprovider", "c"), "libc")
    locale = as_it_is.get("datlocale") or as_it_is.get("daticulocale")
    words: list[sql.Composable] = [
        sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}").format(
            sql.Identifier(name), encoding, as_it_is["datcollate"], as_it_is["datctype"]
        )
    ]
    if "datlocprovider" in as_it_is:  # since version 15
        words.append(sql.SQL("LOCALE_PROVIDER {}").format(sql.SQL(provider)))
    if locale:
        words.append(sql.SQL({"icu": "ICU_LOCALE {}", "builtin": "BUILTIN_LOCALE {}"}[provider]).format(locale))
    if rules := as_it_is.get("daticurules"):
        words.append(sql.SQL("ICU_RULES {}").format(rules))
    if whole:
        words.append(sql.SQL("OWNER {}").format(sql.Identifier(owner)))
    if space != "pg_default":
        words.append(sql.SQL("TABLESPACE {}").format(sql.Identifier(space)))
    try:
        admin.execute(sql.SQL(" ").join(words))
        if whole:
            for (statement,) in admin.execute(_BELONGINGS, {"name": name, "like": like}).fetchall():
                admin.execute(statement)
    except psycopg.errors.InsufficientPrivilege as error:
        raise NexaError(
            f"This user may not create a database ({error.diag.message_primary}): let an administrator of the server run "
            f"ALTER ROLE {admin.info.user} CREATEDB."
        ) from error
    except psycopg.errors.DuplicateDatabase as error:
        raise Conflict(f"There is a database {name} already: somebody else is at the same work.") from error


def drop(admin: Admin, name: str) -> None:
    """Drops a database and whoever is connected to it, if it is there."""
    admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def drop_if_idle(admin: Admin, name: str) -> bool:
    """Drops what a run that was killed left behind; False where somebody is connected, and so still at it."""
    # Asked first, because dropping waits five seconds for them; and refused after all if they come in between.
    if admin.execute("SELECT FROM pg_stat_activity WHERE datname = %s", (name,)).fetchone() is not None:
        return False
    try:
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
    except psycopg.errors.ObjectInUse:
        return False
    return True


def scratch_name(admin: Admin, database: str) -> str:
    """The one name under which copies of a database are looked at: by its number, so that it is never another's."""
    row = admin.execute("SELECT oid FROM pg_database WHERE datname = %s", (database,)).fetchone()
    if row is None:
        raise NexaError(f"There is no database {database} on the server.")
    return f"{SCRATCH}{row[0]}"


def orphans(admin: Admin) -> list[str]:
    """Scratch databases whose own database is gone, because another one was put in its place."""
    rows = admin.execute(
        f"SELECT s.datname FROM pg_database s WHERE s.datname ~ '^{SCRATCH}[0-9]+(_new)?$'"  # noqa: S608 - a constant
        f" AND NOT EXISTS (SELECT FROM pg_database d WHERE s.datname IN ('{SCRATCH}' || d.oid, '{SCRATCH}' || d.oid || '_new'))"
    )
    return [str(row[0]) for row in rows]


def swap(admin: Admin, name: str, *, new: str, kept: str) -> None:
    """Puts `new` in the place of `name`, which is called `kept` from then on; both or neither.

    Whoever is connected is cut off: they come back to the new one. Somebody may be faster than the renaming, which then
    waits five seconds for them and fails: so it is tried again. Raises Conflict if they keep coming.
    """
    for left in reversed(range(_SWAP_TRIES)):
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY (%s) AND pid <> pg_backend_pid()",
            ([name, new],),
        )
        try:
            with admin.transaction():
                for before, after in ((name, kept), (new, name)):
                    admin.execute(
                        sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(before), sql.Identifier(after))
                    )
        except psycopg.errors.ObjectInUse as error:
            if not left:
                raise Conflict(f"Others keep using {name}: stop what is connected to it, then try again.") from error
            time.sleep(0.2)
        else:
            return
