"""Who did what, when and why, and can the trail be trusted?"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import streamlit as st

from dashboard import queries_audit as reads
from dashboard.access import guarded_fragment, may, require
from dashboard.components.actors import who
from dashboard.components.audit_words import about, changes, difference, done
from dashboard.components.filters import choice
from dashboard.components.job_actions import run_dialog
from dashboard.components.layout import empty, page_head, section, table, tiles
from dashboard.components.markup import join, link, show, tag, url
from dashboard.components.money_words import brief, short_address
from dashboard.components.numbers import figure
from dashboard.components.pager import before_id, first_page, pager
from dashboard.components.states import chip
from dashboard.components.times import age, both, clock, now, unbroken
from dashboard.desk import desk
from jobs.core.audit_anchor import AnchorFile
from jobs.core.audit_export import Form, csv_rows, export, json_lines
from jobs.core.audit_read import Filters
from jobs.core.errors import NexaError
from jobs.core.jobs import load_jobs
from jobs.core.permissions import Right
from jobs.probes.attention import SEAL_LATE, moment

person = require(Right.VIEW_AUDIT)
JOB = "verify-audit"
ROW = "row"
FRESH = timedelta(hours=36)
"""For so long a verification is worth a green light: the nightly job, and half a day for it to come late."""
_CHANGES = 4


def state_of(chain: reads.Chain) -> str:
    """What the chain stands for now: broken is broken at any age, whole only while somebody has looked lately."""
    if chain.verified is None:
        return "stale"
    if chain.verified.broken is not None:
        return "critical"
    if now() - chain.verified.verified_at > FRESH:
        return "stale"
    return "warn" if waits_long(chain) else "ok"


def waits_long(chain: reads.Chain) -> bool:
    """Whether rows have been without a link for longer than a worker lets them."""
    return chain.unsealed.oldest is not None and now() - chain.unsealed.oldest > SEAL_LATE


@guarded_fragment(Right.VIEW_AUDIT, run_every=10)
def standing() -> None:
    chain = reads.chain()
    title, lead = _headline(chain)
    page_head(title, lead)
    verified = chain.verified
    try:
        anchor = AnchorFile.of(desk().settings).last()
        anchored = "none here yet" if anchor is None else join(f"link {anchor.seq:,}, ", age(_time(anchor.at)))
    except NexaError:
        anchored = chip("critical", "cannot be read")
    count = f"{chain.unsealed.count:,}{'+' if chain.unsealed.count >= 10_000 else ''}"
    waiting = join("the oldest ", age(chain.unsealed.oldest)) if chain.unsealed.oldest else "all rows are sealed"
    tiles(
        [
            figure(
                chip(state_of(chain), _WORDS[state_of(chain)]),
                label="Chain",
                note=join("anchor on this host: ", anchored),
            ),
            figure(f"{chain.head:,}", label="Links", note=join("the last one ", age(chain.sealed_at))),
            figure(
                join(count, " ", chip("warn", "no worker seals")) if waits_long(chain) else count,
                label="Rows without a link",
                note=waiting,
            ),
            figure(
                "–" if verified is None else f"{verified.links:,}",
                label="Links verified",
                note="not yet"
                if verified is None
                else join(age(verified.verified_at), ", by ", who(verified.verified_by)),
            ),
        ]
    )
    if chain.head:
        show(tag("p", "Head ", tag("span", chain.head_hash, class_="nx-mono"), class_="nx-note"))


_WORDS = {"ok": "whole", "warn": "whole, rows wait", "critical": "broken", "stale": "no fresh proof"}


def _headline(chain: reads.Chain) -> tuple[str, str]:
    verified = chain.verified
    if verified is None:
        return "Nobody has verified the audit trail yet", f"{JOB} does so every night, or now by the button below."
    at = moment(verified.verified_at, now())
    if verified.broken is not None:
        return unbroken(f"The audit trail is broken, found at {at}"), brief(verified.broken, 400)
    since = chain.head - verified.links
    more = f" {since:,} {'link has' if since == 1 else 'links have'} come since." if since > 0 else ""
    late = f" {verified.late:,} rows bear a time long before they came." if verified.late else ""
    if now() - verified.verified_at > FRESH:
        return unbroken(f"Nobody has verified the audit trail since {at}"), f"It was whole then.{more}{late}"
    return "The audit trail is whole", f"Every link was verified at {at}.{more}{late}"


def actions() -> None:
    """Verify now, for those who may run jobs."""
    job = load_jobs().get(JOB)
    if job is not None and may(person, Right.RUN_JOBS):
        with st.container(key="nx-audit-acts", horizontal=True, gap="small"):
            if st.button("Verify now", key="verify", icon=":material/verified:"):
                run_dialog(job, key="verify-form")


_OFFERED = (
    f"What is found in the newest {reads.RECENT:,} rows, in the newest {reads.OF_EACH:,} of each person and in"
    f" {reads.OF_EACH:,} about each kind of thing. Anything else can be named in the address: `?action=…`."
)


def asked() -> Filters:
    """The filters as they stand in the address."""
    actions_known, kinds = reads.known()
    reason = st.text_input(
        "Why", key="reason", bind="query-params", type="search", max_chars=200, on_change=first_page,
        placeholder="Words of the reason", label_visibility="collapsed", icon=":material/search:",
    )  # fmt: skip
    with st.container(key="nx-filters", horizontal=True, vertical_alignment="bottom", gap="medium"):
        actor = _words("Who", "actor", "E-mail, cli:name, run:12")
        action = choice("What was done", _with("action", actions_known), key="action", help_=_OFFERED)
        kind = choice("About", _with("entity", kinds), key="entity")
        name = _words("Its id", "entity_id", "Any")
        since = st.date_input(
            "From", value=None, key="since", bind="query-params", format="YYYY-MM-DD", on_change=first_page
        )
        until = st.date_input(
            "To", value=None, key="until", bind="query-params", format="YYYY-MM-DD", on_change=first_page
        )
    return Filters(
        actor=actor,
        action=action,
        entity=kind,
        entity_id=name,
        since=_midnight(since),
        until=_midnight(until, days=1),
        reason=_given(reason),
    )


def _words(label: str, key: str, placeholder: str) -> str | None:
    return _given(
        st.text_input(label, key=key, bind="query-params", max_chars=200, on_change=first_page, placeholder=placeholder)
    )


def _given(typed: str | None) -> str | None:
    """What was typed; PostgreSQL knows no character zero, and so nothing with one."""
    return (typed or "").replace("\x00", "").strip() or None


def _with(key: str, known: tuple[str, ...]) -> list[str]:
    """The words to choose from, with the one that the address asks for."""
    wanted = st.query_params.get(key)
    return list(dict.fromkeys([*known, *([wanted] if wanted and len(wanted) <= 80 else [])]))


def _midnight(day: date | object, *, days: int = 0) -> datetime | None:
    return datetime.combine(day + timedelta(days=days), time(), UTC) if isinstance(day, date) else None


def take_away(filters: Filters) -> None:
    """What fits as files: for a spreadsheet, and to be verified elsewhere."""
    with st.container(key="nx-audit-files", horizontal=True, gap="medium"):
        for label, form, ending, mime, help_ in (
            ("Download as CSV", csv_rows, "csv", "text/csv", "For a spreadsheet."),
            ("Download as JSON", json_lines, "jsonl", "application/jsonl",
             "Lines that `nexaops audit verify --file` proves without a database."),
        ):  # fmt: skip
            st.download_button(
                label,
                data=lambda form=form: _file(form, filters),  # type: ignore[misc]
                file_name=f"audit-{now():%Y-%m-%d-%H%M}.{ending}",
                mime=mime,
                key=f"nx-{ending}",
                type="tertiary",
                icon=":material/download:",
                help=f"{help_} The newest {reads.EXPORTED:,} that fit, at most.",
                on_click="ignore",
            )


def _file(form: Form, filters: Filters) -> bytes:
    with desk().db.read() as conn:
        after = reads.export_after(conn, filters)
    return b"".join(export(desk().db, form, filters, after=after))


@guarded_fragment(Right.VIEW_AUDIT)
def listing(filters: Filters) -> None:
    page = reads.entries(filters, before_id())
    section("What was done", "newest first, times in UTC")
    if page.found:
        table(
            ("When", "Who", "What", "Old → new", "Why", "Link"),
            [_row(entry) for entry in page.found], numeric=(5,), label="Audit trail",
        )  # fmt: skip
    elif filters or before_id() is not None:
        empty("Nothing fits these filters.", "Take one away to see more.", action=link("The whole trail", url("audit")))
    else:
        empty("Nothing was done yet.", "Every change by a person or a job will stand here, as it happens.")
    pager("audit", older=page.older)


def _row(entry: reads.Entry) -> tuple[object, ...]:
    changed = changes(entry.old, entry.new)
    return (
        clock(entry.at),
        tag("div", who(entry.actor), tag("div", f"from {entry.origin}", class_="nx-note") if entry.origin else ""),
        tag("div", done(entry.action), tag("div", about(entry.entity, entry.entity_id), class_="nx-note")),
        difference(changed, most=_CHANGES) if changed else "",
        tag("div", brief(entry.reason, 160), class_="nx-words") if entry.reason else "",
        link(f"{entry.seq:,}" if entry.seq else "waits", _address(entry.id), title=f"Row {entry.id} with its hashes"),
    )


def _address(audit_id: int) -> str:
    kept = {key: value for key, value in st.query_params.items() if key != ROW}
    return url("audit", **kept, **{ROW: audit_id})


def one_row(given: str) -> None:
    """A row as a whole, with its place in the chain."""
    number = int(given) if given.isascii() and given.isdigit() and len(given) < 19 else None
    entry = reads.entry(number) if number is not None else None
    back = link("The whole trail", url("audit", **{k: v for k, v in st.query_params.items() if k != ROW}),
                class_="nx-link nx-inline")  # fmt: skip
    if entry is None:
        page_head("There is no such row", join(f"No row of the audit trail has the number “{given[:40]}”. ", back))
        return
    page_head(join(done(entry.action), ": ", about(entry.entity, entry.entity_id)), back)
    facts: list[tuple[str, object]] = [
        ("Who", who(entry.actor)),
        ("When", both(entry.at)),
        ("From where", entry.origin or "–"),
        ("Why", brief(entry.reason or "–", 600)),
        ("About", tag("span", f"{entry.entity} {entry.entity_id}", class_="nx-mono")),
        ("Old → new", difference(changes(entry.old, entry.new))),
        ("Row", str(entry.id)),
    ]
    if entry.seq is None or entry.sealed_at is None or entry.hash is None or entry.prev_hash is None:
        facts.append(("Link", "It has none yet: a worker gives it one within seconds."))
    else:
        waited = (entry.sealed_at - entry.at).total_seconds()
        facts += [
            ("Link", f"{entry.seq:,}, sealed {both(entry.sealed_at)}, {waited:,.0f} s after its own time"),
            ("Hash", tag("span", entry.hash.hex(), class_="nx-mono")),
            ("Hash before", tag("span", entry.prev_hash.hex(), class_="nx-mono")),
        ]
    show(tag("dl", *(join(tag("dt", name), tag("dd", value)) for name, value in facts), class_="nx-facts"))
    same = Filters(entity=entry.entity, entity_id=entry.entity_id)
    section("Everything about it", short_address(entry.entity_id))
    found = reads.entries(same).found
    table(
        ("When", "Who", "What", "Old → new", "Why", "Link"), [_row(other) for other in found],
        numeric=(5,), label="Audit trail",
    )  # fmt: skip


def _time(at: str) -> datetime:
    return datetime.fromisoformat(at)


if named := st.query_params.get(ROW):
    one_row(named)
    st.stop()
standing()
actions()
chosen = asked()
take_away(chosen)
listing(chosen)
