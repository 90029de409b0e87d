"""What did this run do, and why did it fail?"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard import queries_jobs as reads
from dashboard.access import guarded_fragment, may, require, told
from dashboard.components import run_parts
from dashboard.components.job_actions import ask_stop, run_dialog
from dashboard.components.job_words import asked_by, headline
from dashboard.components.layout import empty, page_head, section, table
from dashboard.components.markup import Html, join, link, show, tag, url
from dashboard.components.money_words import look_words
from dashboard.components.pager import before_id, pager
from dashboard.components.run_log import draw_lines
from dashboard.components.states import chip
from dashboard.components.times import clock, now
from jobs.core.errors import NotFound
from jobs.core.jobs import load_jobs
from jobs.core.permissions import Right
from jobs.run.store import RunRow

person = require(Right.VIEW)
STEP = 500
LOG_HEIGHT = 420
EVERYTHING = next(iter(reads.LEVELS))
_VERDICTS = {"success": "ok", "rescue": "ok", "failed": "FAILED", "case": "warn", "keep": "queued"}


def asked_for() -> RunRow:
    """The run that the address names; a sentence and the end of the page if there is none."""
    given = st.query_params.get("id", "")
    try:
        if not given.isascii() or not given.isdigit() or len(given) > 18:
            raise NotFound(
                f"The address names no run: {given[:40]!r} is not a number." if given else "No run is named."
            )
        return reads.run(int(given))
    except NotFound as error:
        page_head("There is no such run", str(error))
        empty("One run with its counters, its log and its error stands here.",
              action=link("All runs", url("runs")))  # fmt: skip
        st.stop()


run = asked_for()
LIVE = not run.finished
PULSE = 1.0 if LIVE else None


def living(part: Callable[[], None]) -> Callable[[], None]:
    """A part that changes while the run lives, and fails alone.

    Of a run that has ended it is drawn with the page, and costs no look of its own.
    """
    if LIVE:
        return guarded_fragment(run_every=PULSE, parallel=False)(part)

    def drawn() -> None:
        with told():
            part()

    return drawn


def fresh() -> RunRow:
    """The run as it stands now; once it has ended, the whole page is drawn anew, for the last time."""
    seen = reads.run(run.id)
    if LIVE and (seen.finished or seen.state != run.state):
        st.rerun()
    return seen


@living
def head() -> None:
    seen = fresh()
    page_head(
        headline(seen),
        join(chip(seen.state), f" · run {seen.id} of ", link(seen.job, url("runs", job=seen.job), class_="nx-link nx-inline"), " · ", asked_by(seen),
             " · dry run, nothing was changed" if seen.dry_run and seen.finished else " · dry run" if seen.dry_run else ""),
    )  # fmt: skip
    run_parts.progress(seen, now())


@living
def figures() -> None:
    seen = reads.run(run.id)
    run_parts.counters(seen)
    run_parts.timeline(seen)


def actions() -> None:
    """What this person may do with it."""
    job = load_jobs().get(run.job)
    stoppable = LIVE and run.stop_by is None and may(person, Right.STOP_RUNS)
    again = job is not None and may(person, Right.RUN_JOBS)
    if not stoppable and not again:
        return
    with st.container(key="nx-runacts", horizontal=True, gap="small"):
        if stoppable and st.button("Stop", key="stop", icon=":material/stop_circle:", help=f"Stop run {run.id}"):
            ask_stop(run, key=f"stop-{run.id}")
        if (
            again
            and job is not None
            and st.button("Run again", key="again", icon=":material/replay:", help=f"Run {run.job} again")
        ):
            run_dialog(job, key=f"again-{run.id}", given=run.params, dry_run=run.dry_run)  # fmt: skip


def error() -> None:
    """Why it did not succeed, in words; the trace for those who work with jobs."""
    if not run.error or run.state == "succeeded":
        return
    section("Why", run.error_class or "")
    show(tag("p", run.error, class_="nx-why"))
    if run.state in ("failed", "timed_out", "lost"):
        others = url("runs", job=run.job, state=run.state.replace("_", " "))
        kinds = url("runs", view="failures", job=run.job)
        show(
            tag("p", link(f"Other runs of {run.job} that ended like this", others, class_="nx-link nx-inline")),
            tag("p", link(f"Failures of {run.job} by kind", kinds, class_="nx-link nx-inline")),
        )
    if run.trace and may(person, Right.RUN_JOBS):
        with st.expander("Trace"):
            st.code(run.trace, language=None, wrap_lines=True)


@guarded_fragment(run_every=PULSE, parallel=False)
def log() -> None:
    section("Log", "follows the run, times in UTC" if LIVE else "times in UTC")
    upto = st.session_state.get(f"log-before-{run.id}")
    # One that has ended without a line has nothing to narrow; one that lives is read once, for it is every second.
    whole = None if LIVE else reads.log_tail(run.id, EVERYTHING, "", STEP, upto)
    level, find = _narrowing() if whole is None or whole.lines else (EVERYTHING, "")
    tail = whole if whole and level == EVERYTHING and not find else reads.log_tail(run.id, level, find, STEP, upto)
    if not tail.lines:
        nothing = "It has not logged anything." if run.finished else "Its lines will stand here as they come."
        empty("No line matches." if find or level != EVERYTHING or upto is not None else nothing)
    if tail.more or upto is not None:
        with st.container(key="nx-logsteps", horizontal=True, gap="small"):
            if tail.more:
                label = f"Show earlier lines: these are {len(tail.lines):,}"
                st.button(label, key="earlier", type="tertiary", on_click=_upto, args=(tail.lines[0].id,))
            if upto is not None:
                st.button("Show the newest lines", key="newest", type="tertiary", on_click=_upto, args=(None,))
    if not tail.lines:
        return
    follows = LIVE and upto is None
    with st.container(key="nx-log", height=LOG_HEIGHT if LIVE or len(tail.lines) > 16 else "content",
                      autoscroll=follows, border=False, gap=None):  # fmt: skip
        draw_lines(tail.lines, growing=LIVE)


def _narrowing() -> tuple[str, str]:
    """Which lines the reader wants; it stands in the address."""
    with st.container(key="nx-logbar", horizontal=True, vertical_alignment="center", gap="small"):
        level = st.segmented_control(
            "Lines shown", list(reads.LEVELS), default=EVERYTHING, required=True, key="level", bind="query-params",
            label_visibility="collapsed",
        )  # fmt: skip
        find = st.text_input("Find in the log", key="find", bind="query-params", placeholder="find in the log",
                             label_visibility="collapsed", max_chars=200)  # fmt: skip
    return level or EVERYTHING, (find or "").strip()


def _upto(line: int | None) -> None:
    """Shows the lines before this one, or follows the newest again."""
    st.session_state[f"log-before-{run.id}"] = line


def decided() -> None:
    """What the run decided about each transaction."""
    before = before_id()
    rows = reads.decisions(run.id, before)
    if not rows and before is None:
        return
    section("Decisions", "what it would have done" if run.dry_run else "with each transaction")
    table(
        ("When", "Transaction", "Verdict", "Reason"),
        [(clock(row.at), _transaction(str(row.transaction_id)), chip(_VERDICTS.get(row.verdict, "stale"), row.verdict),
          look_words(row.reason, "")) for row in rows],
        label="Decisions, newest first",
    )  # fmt: skip
    pager("run", older=rows[-1].id if len(rows) == reads.PAGE else None, shown=f"{len(rows)} decisions, newest first")


def _transaction(id_: str) -> Html:
    return link(tag("span", id_, class_="nx-mono"), url("transaction", id=id_))


head()
actions()
figures()
error()
log()
section("About this run")
run_parts.facts(run, reads.retries_of(run.id, run.job) if run.finished else (), reads.neighbours(run.id, run.job))
decided()
