"""Tokens for the HTTP API, and what came of requests that may be repeated."""

from alembic import op

from jobs.core.schema import run_sql

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    run_sql(op.get_bind(), "0011_tokens.sql")
