"""Which pages there are, in which group, and under which address: the address is what links and alerts hold on to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jobs.core.permissions import Right

FOLDER = Path(__file__).parent / "pages"


@dataclass(frozen=True, slots=True)
class Entry:
    """A page: its file's name without the ending is its address. A hidden one is reached by links only.

    Whoever has not its `right` does not see it.
    """

    group: str
    name: str
    title: str
    icon: str
    hidden: bool = False
    right: Right = Right.VIEW

    @property
    def file(self) -> str:
        return str(FOLDER / f"{self.name}.py")


PAGES: tuple[Entry, ...] = (
    Entry("Now", "overview", "Overview", ":material/monitoring:"),
    Entry("Now", "alerts", "Alerts", ":material/notifications:"),
    Entry("Now", "alert", "Alert", ":material/notification_important:", hidden=True),
    Entry("Now", "rule", "Rule", ":material/rule:", hidden=True),
    Entry("Now", "incidents", "Incidents", ":material/emergency:"),
    Entry("Now", "incident", "Incident", ":material/emergency_heat:", hidden=True),
    Entry("Money", "transactions", "Transactions", ":material/swap_horiz:"),
    Entry("Money", "transaction", "Transaction", ":material/receipt_long:", hidden=True),
    Entry("Money", "cases", "Cases", ":material/gavel:"),
    Entry("Money", "integrity", "Integrity", ":material/balance:"),
    Entry("Engine", "jobs", "Jobs", ":material/schedule:"),
    Entry("Engine", "schedule", "Schedule", ":material/edit_calendar:", hidden=True),
    Entry("Engine", "runs", "Runs", ":material/history:"),
    Entry("Engine", "run", "Run", ":material/play_circle:", hidden=True),
    Entry("Engine", "compare", "Compare runs", ":material/compare_arrows:", hidden=True),
    Entry("Engine", "workers", "Workers", ":material/dns:"),
    Entry("Engine", "horizon", "Horizon", ":material/satellite_alt:"),
    Entry("Engine", "database", "Database", ":material/database:"),
    Entry("Engine", "hosts", "Hosts", ":material/memory:"),
    Entry("Release", "releases", "Releases", ":material/rocket_launch:"),
    Entry("Release", "checklists", "Checklists", ":material/checklist:"),
    Entry("Release", "checklist", "Checklist", ":material/fact_check:", hidden=True),
    Entry("Release", "calendar", "Calendar", ":material/calendar_month:"),
    Entry("Release", "contacts", "Contacts", ":material/contact_phone:"),
    Entry("Admin", "flags", "Flags", ":material/toggle_on:"),
    Entry("Admin", "people", "People", ":material/group:", right=Right.MANAGE_PEOPLE),
    Entry("Admin", "walls", "Wall links", ":material/tv:", right=Right.SHARE_WALL),
    Entry("Admin", "audit", "Audit", ":material/policy:", right=Right.VIEW_AUDIT),
    Entry("Release", "signing", "Sign off", ":material/signature:", hidden=True),
    Entry("Release", "move", "Move to a newer version", ":material/update:", hidden=True),
)
START = PAGES[0]
PATHS = frozenset(entry.name for entry in PAGES)
