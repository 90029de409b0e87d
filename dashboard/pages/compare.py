"""Two runs side by side: what was different, and where did it begin?"""

from __future__ import annotations

import streamlit as st

from dashboard import queries_jobs as reads
from dashboard.access import require
from dashboard.components import run_diff
from dashboard.components.instants import instant
from dashboard.components.job_words import asked_by, counted, first_line
from dashboard.components.layout import empty, page_head, section, table
from dashboard.components.markup import Html, join, link, show, tag, url
from dashboard.components.run_log import lines
from dashboard.components.states import chip, word
from dashboard.components.times import lasted
from jobs.core.errors import NotFound
from jobs.core.permissions import Right
from jobs.run.store import LogLine, RunRow

require(Right.VIEW)
MOST_LINES = 5000


def named(key: str) -> RunRow:
    """The run that the address names under `key`; a sentence and the end of the page if there is none."""
    given = st.query_params.get(key, "")
    try:
        if not given.isascii() or not given.isdigit() or len(given) > 18:
            raise NotFound("Two runs are named in the address, as numbers: /compare?id=12&with=10.")
        return reads.run(int(given))
    except NotFound as error:
        page_head("There are no two runs to compare", str(error))
        empty("Two runs stand here side by side: open one of them and choose what to compare it with.",
              action=link("All runs", url("runs")))  # fmt: skip
        st.stop()


def page(left: RunRow, right: RunRow) -> None:
    page_head(_headline(left, right), _lead(left, right))
    _facts(left, right)
    _counters(left, right)
    _logs(left, right)


def _headline(left: RunRow, right: RunRow) -> str:
    ends = [f"run {run.id} {_ended(run)}" for run in (left, right)]
    return f"{ends[0][:1].upper()}{ends[0][1:]}, {ends[1]}"


def _ended(run: RunRow) -> str:
    took = f" after {lasted(run.duration_s)}" if run.duration_s is not None else ""
    return f"{'is ' if not run.finished else ''}{word(run.state)}{took}"


def _lead(left: RunRow, right: RunRow) -> Html:
    swapped = link("Swap sides", url("compare", id=right.id, **{"with": left.id}), class_="nx-link nx-inline")
    jobs = left.job if left.job == right.job else f"{left.job} and {right.job}"
    return join(jobs, " · ", swapped)


def _facts(left: RunRow, right: RunRow) -> None:
    rows: list[tuple[object, ...]] = [
        ("State", chip(left.state), chip(right.state)),
        ("Started", *(instant(run.started_at) if run.started_at else "not started" for run in (left, right))),
        ("Took", *(lasted(run.duration_s) for run in (left, right))),
        ("Asked for by", asked_by(left), asked_by(right)),
        ("Where", *(run.host or "–" for run in (left, right))),
        ("Attempt", str(left.attempt), str(right.attempt)),
    ]
    if left.error or right.error:
        rows.append(("Why", first_line(left.error, 300) or "–", first_line(right.error, 300) or "–"))
    rows += [
        (_marked(counted(row.name), row.differs), _value(row.left, row.differs), _value(row.right, row.differs))
        for row in run_diff.parameters(left, right)
    ]
    table(("What", *_names(left, right)), rows, label="What they were given")


def _names(left: RunRow, right: RunRow) -> tuple[str, str]:
    return f"Run {left.id}", f"Run {right.id}"


def _marked(name: str, differs: bool) -> Html:
    return tag("span", name, tag("span", " differs", class_="nx-warn") if differs else "")


def _value(value: str | None, differs: bool) -> Html:
    return tag("b" if differs else "span", value if value is not None else "not given", class_="nx-mono")


def _counters(left: RunRow, right: RunRow) -> None:
    section("Counters")
    rows = run_diff.counters(left, right)
    if not rows:
        empty("Neither has counted anything.")
        return
    table(
        ("Counter", *_names(left, right), "Difference"),
        [(counted(name), f"{a:,}", f"{b:,}", f"{b - a:+,}" if a != b else "same") for name, a, b in rows],
        numeric=(1, 2, 3),
        label="What they counted",
    )


def _logs(left: RunRow, right: RunRow) -> None:
    logs = [reads.log_head(run.id, MOST_LINES) for run in (left, right)]
    found = run_diff.parting(*logs)
    section("Logs", "numbers, ids and times are not compared")
    if found is None:
        alike = f"All {len(logs[0]):,} lines say the same." if logs[0] else "Neither has logged anything."
        empty(alike if len(logs[0]) < MOST_LINES else f"The first {MOST_LINES:,} lines say the same.")
        return
    alike = "1 line that says" if found.at == 1 else f"{found.at:,} lines that say"
    where = f"after {alike} the same" if found.at else "from the first line"
    show(tag("p", f"They part {where}.", class_="nx-note"))
    for place, (column, run, shown) in enumerate(
        zip(st.columns(2, gap="medium"), (left, right), (found.left, found.right), strict=True)
    ):
        with column:
            log = link(f"Run {run.id}", url("run", id=run.id), class_="nx-link nx-inline")
            show(tag("h3", log, class_="nx-side"))
            _side(shown, found.before, ended=found.at >= len(logs[place]))


def _side(shown: tuple[LogLine, ...], before: int, *, ended: bool) -> None:
    if before:
        show(lines(shown[:before]))
    show(tag("div", "Its log ends here." if ended else "From here on:", class_="nx-parting"))
    if not ended:
        show(lines(shown[before:]))


page(named("id"), named("with"))
