"""Placeholder."""

from dashboard.access import require
from dashboard.components.layout import page_head
from jobs.core.permissions import Right

require(Right.VIEW)
page_head("Alerts")
