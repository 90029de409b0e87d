"""Do the books balance, and as of when?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import streamlit as st

from dashboard import charts
from dashboard import queries_integrity as reads
from dashboard.access import guarded_fragment, may, require
from dashboard.components.filters import choice, time_shown
from dashboard.components.integrity_words import FRESH_S, PROVES, looked_at, proves
from dashboard.components.job_actions import run_dialog
from dashboard.components.layout import empty, page_head, section, table, tiles
from dashboard.components.marks import list_marks
from dashboard.components.markup import Html, esc, join, link, show, tag, url
from dashboard.components.money_words import brief, plain, short_address, short_id
from dashboard.components.numbers import amount_text, figure
from dashboard.components.pager import PARAMETER, before_id, pager
from dashboard.components.states import chip
from dashboard.components.times import age, city, local_zone, now, unbroken
from dashboard.queries_marks import marks
from jobs.core.jobs import load_jobs
from jobs.core.permissions import Right
from jobs.integrity.model import JOB_OF, Check, CheckState
from jobs.probes.attention import STALE_INTERVALS, moment
from jobs.probes.spans import Window

person = require(Right.VIEW)
JOBS = ("verify-ledger", "sync-wallets", "audit-history")
ACCOUNT = "account"
_CHECKS = {words: check for check, words in PROVES.items()}
_AMOUNT = re.compile(r"-?\d+(\.\d+)?")
_CODE = re.compile(r"[A-Z_]+( [A-Z_]+)*")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_RANGES: Mapping[str, timedelta] = {
    "24h": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}


def state_of(check: CheckState) -> str:
    """What a check stands for now: a finding is bad at any age, a green light only while it is fresh."""
    if check.findings:
        return "warn" if check.check is Check.WALLETS else "critical"
    if check.as_of is None or (now() - check.as_of).total_seconds() > FRESH_S[JOB_OF[check.check]]:
        return "stale"
    return "ok"


@guarded_fragment(run_every=10)
def verdict() -> None:
    found = reads.checks()
    books = [check for check in found if JOB_OF[check.check] == "verify-ledger"]
    title, lead = _headline(books)
    findings = {check.check: check.findings for check in found}
    if contradicted := findings[Check.HISTORY]:
        title = unbroken(f"{title}; the network contradicts {_counted(contradicted, 'settled transaction')}")
    if differing := findings[Check.WALLETS]:
        lead = f"{lead} {_counted(differing, 'wallet')} {'differs' if differing == 1 else 'differ'} from them."
    page_head(title, lead)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _headline(books: Sequence[CheckState]) -> tuple[str, str]:
    at = now()
    count = sum(check.findings for check in books)
    proved = [check.as_of for check in books if check.as_of is not None]
    since = f"Proved as of {moment(min(proved), at)}." if proved else "They have not been proved yet."
    if count:
        oldest = min(check.oldest for check in books if check.oldest is not None)
        differ = "1 row differs" if count == 1 else f"{count:,} rows differ"
        return unbroken(f"The books do not balance: {differ}, the oldest since {moment(oldest, at)}"), since
    if len(proved) < len(books):
        return "The books have not been proved yet", "verify-ledger does so every 6 hours."
    if any(state_of(check) == "stale" for check in books):
        return unbroken(f"Nobody has proved the books since {moment(min(proved), at)}"), "They balanced then."
    return "The books balance", since


def actions() -> None:
    """A button for each job, for those who may."""
    if not may(person, Right.RUN_JOBS):
        return
    known = load_jobs()
    with st.container(key="nx-integrity-acts", horizontal=True, gap="small"):
        for name in JOBS:
            if name in known and st.button(f"Run {name}", key=f"run-{name}", icon=":material/play_arrow:"):
                run_dialog(known[name], key=f"run-form-{name}")


@guarded_fragment(run_every=10)
def checks() -> None:
    section("What is proved", "each as of the beginning of its last whole pass")
    table(
        ("What must hold", "State", "Proved over", "As of"), [_check(check) for check in reads.checks()],
        label="Checks",
    )  # fmt: skip


def _check(check: CheckState) -> tuple[object, ...]:
    state = state_of(check)
    differ = "1 differs" if check.findings == 1 else f"{check.findings:,} differ"
    label = {"ok": "holds", "stale": "not proved yet" if check.as_of is None else "no fresh proof"}.get(state, differ)
    job = JOB_OF[check.check]
    as_of: object = age(check.as_of, interval_s=FRESH_S[job] / STALE_INTERVALS, none="never")
    if check.run_id is not None:
        as_of = link(as_of, url("run", id=check.run_id))
    return (
        tag("div", PROVES[check.check], tag("div", job, class_="nx-note")),
        chip(state, label),
        "–" if check.as_of is None else looked_at(check.check, check.looked_at),
        as_of,
    )


@guarded_fragment(run_every=10)
def findings(check: str | None) -> None:
    page = reads.findings(check, before_id())
    section("What differs", "newest first")
    if page.found:
        table(
            ("What", "Expected", "Actual", "Difference", "Whose", "Since"), [_finding(one) for one in page.found],
            numeric=(1, 2, 3), label="Findings",
        )  # fmt: skip
    elif check:
        empty("Nothing differs in this.", "Take the filter away to see the others.")
    elif any(one.as_of for one in reads.checks()):
        empty("Nothing differs.", "A row that does is named here until a later proof finds it in order.")
    else:
        empty("Rows that differ will be named here, with what was expected and what is there.",
              "The job verify-ledger looks for them every 6 hours, sync-wallets every 10 minutes.")  # fmt: skip
    pager("integrity", older=page.older)


def _finding(one: reads.Finding) -> tuple[object, ...]:
    difference = "–" if one.difference is None else f"{'+' if one.difference > 0 else ''}{amount_text(one.difference)}"
    found_by = link(f"run {one.found_run}", url("run", id=one.found_run))
    return (
        tag("div", brief(one.sentence, 160), tag("div", proves(one.check_name), class_="nx-note"), class_="nx-words"),
        _side(one, one.expected),
        _side(one, one.actual),
        difference,
        _whose(one),
        tag("div", age(one.found_at), tag("div", found_by, class_="nx-note")),
    )


def _side(one: reads.Finding, value: str) -> Html:
    """One side of a finding: amounts, codes and ids in the form in which the other pages have them."""
    if one.difference is not None and _AMOUNT.fullmatch(value):
        return esc(amount_text(Decimal(value)))
    if _CODE.fullmatch(value):
        return esc(plain(value).lower())
    shown = short_id(value) if _ID.fullmatch(value) else short_address(value)
    return tag("span", shown, title=value if shown != value else None)


def _whose(one: reads.Finding) -> Html:
    """Where to look further: the transaction, the wallet, the user's transactions."""
    lines: list[Html] = []
    if one.transaction_id is not None:
        lines.append(link(f"transaction {short_id(one.transaction_id)}", url("transaction", id=one.transaction_id)))
    if one.account is not None:
        lines.append(link(f"wallet {short_address(one.account)}", url("integrity", **{ACCOUNT: one.account})))
    if one.email is not None:
        lines.append(link(one.email, url("transactions", q=one.email)))
    return tag("div", *(tag("div", line) for line in lines)) if lines else tag("span", "–", class_="nx-quiet")


@guarded_fragment(run_every=30)
def drift() -> None:
    section("Wallets that differ from the books", f"times in {city(local_zone())}")
    state = next(check for check in reads.checks() if check.check is Check.WALLETS)
    if state.as_of is None and not state.findings:
        empty("How many wallets differ will stand here over time.",
              "The job sync-wallets compares some every 10 minutes; the first round is over when each had its turn.")  # fmt: skip
        return
    chosen, length = time_shown(_RANGES, default="7d")
    points = reads.drift(length)
    if not any(point.wallets for point in points):
        empty("No wallet differed in this time.")
        return
    line = charts.Line("Wallets", tuple(point.at for point in points), [point.wallets for point in points])
    happened = marks(Window(length))
    frame = charts.Frame(points[0].at, points[-1].at, happened)
    drawn = charts.course([line], unit="", height=180, frame=frame)
    charts.draw(drawn, key="drift", alt=f"Wallets that differed over {chosen}")
    list_marks(happened)


@guarded_fragment(run_every=10)
def audit() -> None:
    section("Audit of the history", "settled transactions, asked for again")
    found = reads.newest_audit()
    if found is None:
        empty("What the network says about settled transactions will stand here.",
              "The job audit-history asks for a sample on the 1st of each month, or for all of them when it is run so.")  # fmt: skip
        return
    what = "every settled transaction" if found.sample is None else f"a sample by seed {found.seed}"
    if found.finished_at is None:
        st.progress(min(1.0, found.done / found.total) if found.total else 1.0,
                    text=f"{found.done:,} of {found.total:,} asked for: {what}")  # fmt: skip
        show(tag("p", "Last moved ", age(found.advanced_at), "; the next run of audit-history goes on from there.",
                 class_="nx-note"))  # fmt: skip
    else:
        ended = "Given up" if found.given_up else "Finished"
        show(tag("p", f"{ended} ", age(found.finished_at), f" by run {found.last_run}: {what}.", class_="nx-note"))
    tiles(
        [
            figure(f"{found.confirmed:,}", label="Confirmed", note="the network shows the same"),
            figure(f"{found.contradicted:,}", label="Contradicted", note="the network shows something else"),
            figure(f"{found.unknown:,}", label="Unknown", note="no proof either way, or too old for this server"),
        ]
    )


def one_wallet(account: str) -> None:
    """A wallet's two sides over time, instead of the overview."""
    back = link("All checks and findings", url("integrity"), class_="nx-link nx-inline")
    found = reads.wallet(account)
    if found is None:
        page_head("There is no such wallet", join(f"No user has the account “{account[:60]}”. ", back))
        return
    whose = ", ".join(found.emails) + (
        f" and {found.users - len(found.emails):,} more" if found.users > len(found.emails) else ""
    )
    page_head(f"Wallet {short_address(found.account)}", back)
    show(tag("p", found.account, class_="nx-mono"),
         tag("p", f"Of {whose}. Compared ", age(found.compared_at), ".", class_="nx-note"))  # fmt: skip
    section("Books and chain", "a row whenever one of them had changed, newest first")
    if not found.changes:
        empty("Its balances on the chain will stand here beside the books.",
              "The job sync-wallets compares them when it is this wallet's turn.")  # fmt: skip
        return
    table(
        ("From", "Asset", "Books", "Chain", "Difference", "In motion", "Ledger"),
        [
            (link(_when(change.at), url("run", id=change.run_id)), change.currency, amount_text(change.books),
             amount_text(change.chain), amount_text(change.chain - change.books), amount_text(change.in_motion),
             f"{change.ledger:,}")
            for change in found.changes
        ],
        numeric=(2, 3, 4, 5, 6), label="Wallet over time",
    )  # fmt: skip


def _when(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


if given := st.query_params.get(ACCOUNT):
    one_wallet(given)
    st.stop()
verdict()
actions()
checks()
if st.query_params.get(PARAMETER) or any(one.findings for one in reads.checks()):
    with st.container(key="nx-filters", horizontal=True, vertical_alignment="bottom", gap="medium"):
        narrowed = choice("What must hold", _CHECKS, key="check")
else:
    narrowed = None
findings(_CHECKS.get(narrowed or ""))
drift()
audit()
