"""What workers say of their hosts, and the index that the figures of jobs are read from."""

from alembic import op

from jobs.core.schema import run_sql

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    run_sql(op.get_bind(), "0020_hosts.sql")
