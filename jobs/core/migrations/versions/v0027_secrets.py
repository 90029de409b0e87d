"""How old the secrets of the settings are."""

from alembic import op

from jobs.core.schema import run_sql

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    run_sql(op.get_bind(), "0027_secrets.sql")
