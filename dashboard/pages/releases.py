"""What stands between us and production?"""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from checklists.lines import build, leaves
from checklists.releases import FollowUp, Release, Version
from dashboard import queries_releases as reads
from dashboard.access import guarded_fragment, may, require
from dashboard.components.checklist_about import reference
from dashboard.components.checklist_words import bar, code_line, counted
from dashboard.components.layout import empty, page_head, section, table
from dashboard.components.markup import Html, esc, join, link, show, tag, url
from dashboard.components.pager import before_id, pager
from dashboard.components.states import chip, shape
from dashboard.components.times import age, clock, lasted
from jobs.core.permissions import Right

person = require(Right.VIEW)
MOST_HELD = 5


@guarded_fragment(run_every=5)
def under_way() -> None:
    found = reads.under_way()
    page_head(*_headline(found))
    if not found:
        start = link("Start a release", url("checklists", template="deployment"), class_="nx-link nx-onward")
        empty("Releases on their way to production will stand here.", "",
              start if may(person, Right.START_CHECKLIST) else None)  # fmt: skip
        return
    show(*(_release(release) for release in found))


def _headline(found: tuple[Release, ...]) -> tuple[str, str]:
    if not found:
        return "No release is under way", ""
    held = sum(release.held_up for release in found)
    count = "One release is" if len(found) == 1 else f"{len(found)} releases are"
    if not held:
        return f"{count} under way", "Nothing holds it up." if len(found) == 1 else "Nothing holds them up."
    return f"{count} under way", f"{held} of them {'is' if held == 1 else 'are'} held up." if len(
        found
    ) > 1 else "It is held up."


def _release(release: Release) -> Html:
    run = release.run
    version = run.fields.get("version", "")
    title = link(join(run.template.title, f" {version}" if version else ""), url("checklist", id=run.id),
                 class_="nx-link nx-strong")  # fmt: skip
    planned = run.fields.get("date")
    return tag(
        "article",
        tag("h2", title),
        tag("div", bar(run.progress.closed, run.progress.total, f"Progress of run {run.id}"),
            tag("p", counted(run.progress), class_="nx-note"), class_="nx-cl-progress"),
        tag("p", join(chip("running", "in hand"), f" {run.leader} has it · started ", age(run.started_at),
                      f" · planned for {planned}" if planned else ""), class_="nx-note"),
        tag("div", _held(release), _to_sign(release), _next(release), _on_it(release), _follows(release),
            class_="nx-release-parts"),
        class_="nx-release",
    )  # fmt: skip


def _part(title: str, lines: list[Html]) -> Html:
    return (
        tag("div", tag("p", title, class_="nx-note"), tag("ul", *(tag("li", line) for line in lines)))
        if lines
        else Html("")
    )


def _held(release: Release) -> Html:
    signing = url("signing", id=release.run.id)
    signers = [one.title for one in release.to_sign if not one.waits_for]
    lines = [
        join(shape("warn"), " ", link(f"{title} has not signed", signing), ": nothing else must come first")
        for title in signers[:MOST_HELD]
    ]
    lines += [
        join(
            shape("warn"),
            " ",
            link(held.phase, url("checklist", id=release.run.id, phase=held.phase_id)),
            f": {held.why}",
        )
        for held in release.held[: MOST_HELD - len(lines)]
    ]
    left = len(signers) + len(release.held) - len(lines)
    return _part("What holds it up", [*lines, esc(f"and {left} more")] if left else lines)


def _to_sign(release: Release) -> Html:
    """Those who come later: whose turn it is stands among what holds it up."""
    lines = []
    for one in release.to_sign:
        count = len(one.waits_for)
        first = join(" after ", code_line(one.waits_for[0])) if count == 1 else f" {count} things come first"
        if count:
            signer = link(one.title, url("signing", id=release.run.id))
            lines.append(join(signer, tag("span", first, class_="nx-note")))
    return _part("Who signs later", lines)


def _next(release: Release) -> Html:
    open_now = [phase for phase in release.run.phases if not phase.progress.complete and not phase.waits_for]
    lines = [
        join(link(phase.definition.title, url("checklist", id=release.run.id, phase=phase.definition.id)),
             tag("span", f" {phase.progress.required_open} required open", class_="nx-note nx-num"))
        for phase in open_now[:MOST_HELD]
    ]  # fmt: skip
    return _part("What is open now", lines)


def _on_it(release: Release) -> Html:
    return _part("Who is on what", [esc(f"{name}: {count} open") for name, count in release.on_it])


def _follows(release: Release) -> Html:
    return _part("What follows", [_follow_up(release.run.id, line) for line in release.follow_ups])


def _follow_up(run_id: int, line: FollowUp) -> Html:
    late = join(" ", chip("warn", f"{line.overdue} overdue")) if line.overdue else ""
    due = join(", next due ", clock(line.next_due)) if line.next_due is not None and not line.overdue else ""
    address = url("checklist", id=run_id, phase=line.phase_id)
    return join(
        link(code_line(line.text), address), tag("span", f" {line.done} of {line.total}", class_="nx-note"), due, late
    )


@guarded_fragment(run_every=30)
def production() -> None:
    section("In production", "what the application said it is")
    found = reads.versions()
    if not found:
        empty("Versions that ran in production will stand here, with the release that brought each there.",
              "Set NEXAOPS_APP_URL, and the job watch-version asks the application.")  # fmt: skip
        return
    table(("Version", "Release", "First seen", "Last seen"), [_version(one) for one in found], label="Versions")


def _version(one: Version) -> tuple[object, ...]:
    if one.run_id is None:
        release: Html = chip("critical", "without a release")
    else:
        release = join(link(f"run {one.run_id}", url("checklist", id=one.run_id)), " ", chip(one.state or "open"))
    return (tag("span", one.version, class_="nx-mono"), release, age(one.first_seen_at), age(one.last_seen_at))


@guarded_fragment(run_every=60)
def ended() -> None:
    section("Before", "releases that have ended")
    found = reads.ended(before_id())
    shown = found[: reads.PAGE]
    if not shown:
        empty("Releases that were closed will stand here.")
    else:
        table(
            ("Release", "State", "Lines", "Started", "Ended"),
            [
                (
                    link(f"{run.title} {run.fields.get('version', '')}", url("checklist", id=run.id)),
                    chip(run.state.value),
                    f"{run.done + run.na} of {run.total}",
                    join(age(run.started_at), tag("div", run.starter, class_="nx-note")),
                    join(age(run.closed_at), tag("div", run.closer or "", class_="nx-note")),
                )
                for run in shown
            ],
            numeric=(2,), label="Ended releases",
        )  # fmt: skip
    pager("releases", older=shown[-1].id if len(found) > reads.PAGE else None)


def _labels() -> Mapping[str, str]:
    deployment = next((found for found in reads.whole_templates() if found.id == "deployment"), None)
    return {} if deployment is None else {line.id: line.label for line in leaves(build(deployment, {}))}


@guarded_fragment()
def lessons() -> None:
    times, skipped = reads.lessons("deployment")
    if not times and not skipped:
        return
    labels = _labels()
    section("What releases have taught", "the last 50")
    left, right = st.columns(2, gap="large")
    with left:
        table(("Takes longest", "Median", "Times"),
              [(code_line(labels.get(one.item_id, one.item_id)), lasted(one.median.total_seconds()), str(one.times)) for one in times],
              numeric=(1, 2), label="What takes longest")  # fmt: skip
    with right:
        if skipped:
            table(("Usually skipped", "N/A", "Left open", "Of"),
                  [(code_line(labels.get(one.item_id, one.item_id)), str(one.na), str(one.left_open), str(one.runs)) for one in skipped],
                  numeric=(1, 2, 3), label="What is usually skipped")  # fmt: skip
        else:
            empty("Nothing is usually skipped.")


under_way()
production()
ended()
lessons()
if deployment := next((found for found in reads.whole_templates() if found.id == "deployment"), None):
    with st.expander("Quick reference", icon=":material/bookmark:"):
        reference(deployment)
