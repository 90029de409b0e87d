"""What the probes of PostgreSQL, the hosts and the status page measure, and the courses of all that is sampled."""

from __future__ import annotations

from dashboard.queries import cached
from jobs.probes import latest
from jobs.probes.courses import read_courses

courses = cached(ttl=10)(read_courses)
database_figures = cached(ttl=5)(latest.database_figures)
database_lists = cached(ttl=5)(latest.database_lists)
hosts = cached(ttl=5)(latest.hosts)
status_page = cached(ttl=10)(latest.status_page)
