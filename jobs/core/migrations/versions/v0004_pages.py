"""Reading pages, and an index to find the rows that a page's hashes belong to.

The index stands on the application's own table: without it every batch would read the whole table. On an attached
database that is not ours to change it is left out, and the doctor says so.
"""

from alembic import op
from sqlalchemy import text

from jobs.core.schema import run_sql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    conn = op.get_bind()
    run_sql(conn, "0004_pages.sql")
    ours = conn.execute(
        text("SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass('public.transactions')")
    ).scalar()
    if ours:
        conn.execute(text("CREATE INDEX IF NOT EXISTS idx_transactions_hash ON transactions (lower(tx_hash))"))
