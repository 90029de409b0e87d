"""The application's tables, as the contract gives them; an existing application database keeps its own."""

from alembic import op
from sqlalchemy import text

from jobs.core.schema import run_sql

revision = "0001"
down_revision = None


def upgrade() -> None:
    conn = op.get_bind()
    if conn.execute(text("SELECT to_regclass('public.transactions')")).scalar() is None:
        run_sql(conn, "0001_application.sql")
    if conn.execute(text("SELECT to_regclass('ops.reconciliation_cases')")).scalar() is None:
        run_sql(conn, "0001_cases.sql")
