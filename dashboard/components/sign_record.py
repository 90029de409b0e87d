"""What exactly is being signed, laid open for whoever is about to answer for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import streamlit as st

from checklists.evidence import Evidence
from checklists.grammar import SignOff
from checklists.lines import State, TrackedItem, TrackedPhase, leaves
from checklists.reads import ChecklistRun
from checklists.record import digest_of, in_scope
from checklists.signoff import exceptions, statement
from dashboard.components.checklist_facts import who
from dashboard.components.checklist_words import code_line, rich
from dashboard.components.instants import instant
from dashboard.components.layout import section, table
from dashboard.components.markup import Html, join, link, show, tag, url
from dashboard.components.sign_words import lines_of, signature_words
from dashboard.components.states import chip
from dashboard.components.times import age


def lay_open(run: ChecklistRun, line: SignOff, record: bytes, evidence: Sequence[Evidence]) -> None:
    """Everything in the record, exceptions first; `record` is what the digest is of."""
    scope = in_scope(run.phases, run.template, line.role)
    ids = {item.id for item in leaves(scope)}
    labels = {item.id: item.label for item in leaves(scope)}
    _words(line, scope)
    _exceptions(run, line)
    _not_applying(run.id, leaves(scope))
    _checks(run.id, leaves(scope))
    _evidence([piece for piece in evidence if piece.item_id in ids], labels)
    _lines(scope)
    _others(run, line)
    _digest(run, line, record)


def _words(line: SignOff, scope: Sequence[TrackedPhase]) -> None:
    states = Counter(item.mark.state for item in leaves(scope))
    counted = [f"{states[State.DONE]} {'line' if states[State.DONE] == 1 else 'lines'} done"]
    if states[State.NA]:
        counted.append(f"{states[State.NA]} that {'does' if states[State.NA] == 1 else 'do'} not apply")
    if states[State.OPEN]:
        counted.append(f"{states[State.OPEN]} open")
    titles = ", ".join(phase.definition.title for phase in scope) or "the start and the summary alone"
    show(
        tag("blockquote", statement(line), tag("footer", f"{line.meaning} by {line.title}"), class_="nx-sg-says"),
        tag("p", f"It answers for {titles}: {', '.join(counted)}.", class_="nx-quiet"),
    )


def _exceptions(run: ChecklistRun, line: SignOff) -> None:
    found = list(exceptions(run, line))
    section("What is unusual", f"{len(found)}" if found else "")
    if not found:
        show(tag("p", "Nothing: every line was closed in time, and no check was overruled.", class_="nx-quiet"))
        return
    show(
        tag("ul", *(_told(run.id, item, words, item.mark.reason) for item, words in found), class_="nx-sg-list")
    )  # fmt: skip


def _not_applying(run_id: int, items: Iterable[TrackedItem]) -> None:
    found = [item for item in items if item.mark.state is State.NA]
    if found:
        section("What does not apply", f"{len(found)}")
        show(tag("ul", *(_told(run_id, item, item.mark.reason or "") for item in found), class_="nx-sg-list"))


def _told(run_id: int, item: TrackedItem, words: str, why: str | None = None) -> Html:
    by = f", {item.mark.name or item.mark.by}" if item.mark.by is not None else ""
    said = tag("div", words[:1].upper() + words[1:], by, class_="nx-note")
    return tag("li", _led(run_id, item), said, tag("q", why) if why else "")


def _led(run_id: int, item: TrackedItem) -> Html:
    phase = item.id.partition("/")[0]
    return link(code_line(item.label), url("checklist", id=run_id, phase=phase, item=item.id))


def _checks(run_id: int, items: Iterable[TrackedItem]) -> None:
    found = [
        (item, item.check, item.standing) for item in items if item.check is not None and item.standing is not None
    ]
    if not found:
        return
    section("Results of checks", f"{len(found)}")
    table(
        ("Line", "Result", "It said", "Age"),
        [
            (_led(run_id, item), chip(standing.value, "too old" if standing.value == "stale" else None), check.summary,
             age(check.at))
            for item, check, standing in found
        ],
        numeric=(3,), label="Results of checks",
    )  # fmt: skip


def _evidence(pieces: Sequence[Evidence], labels: dict[str, str]) -> None:
    if not pieces:
        return
    section("Evidence", f"{len(pieces)}")
    table(
        ("Line", "What", "SHA-256"),
        [
            (code_line(labels[piece.item_id]),
             join(tag("div", f"{piece.label}: ", piece.name or piece.body),
                  tag("div", piece.adder, " ", instant(piece.added_at, seconds=False), class_="nx-note")),
             tag("span", piece.sha256, class_="nx-mono nx-sg-hash"))
            for piece in pieces
        ],
        label="Evidence",
    )  # fmt: skip


def _lines(scope: Sequence[TrackedPhase]) -> None:
    if not scope:
        return
    section("Line by line")
    show(
        *(
            tag(
                "details",
                tag(
                    "summary",
                    tag("span", phase.definition.title),
                    tag("span", f"{phase.progress.closed} of {phase.progress.total}", class_="nx-note nx-num"),
                ),
                tag("ul", *(_line(item) for item in leaves([phase])), class_="nx-sg-list"),
                class_="nx-cl-preview",
            )
            for phase in scope
        )
    )


def _line(item: TrackedItem) -> Html:
    second = f"verified by {item.mark.verifier}" if item.mark.verifier is not None else ""
    chosen = f"decided: {item.mark.choice}" if item.mark.choice is not None else ""
    said = ", ".join(part for part in (chosen, second) if part)
    return tag(
        "li", chip(item.mark.state.value), " ", rich(item.label), who(item),
        tag("div", said, class_="nx-note") if said else "",
    )  # fmt: skip


def _others(run: ChecklistRun, line: SignOff) -> None:
    titles = {other.role: other.title for other in lines_of(run)}
    if run.signatures:
        section("Signatures so far")
        show(
            *(
                tag("div", tag("b", titles.get(one.role, one.role.value)), signature_words(one, line.title),
                    class_="nx-sg-other")
                for one in run.signatures
            )
        )  # fmt: skip


def _digest(run: ChecklistRun, line: SignOff, record: bytes) -> None:
    section("What your signature binds")
    show(
        tag("p", tag("span", digest_of(record), class_="nx-mono nx-sg-digest", id="nx-digest")),
        tag("p", "SHA-256 of the record: all that stands above, to the letter. Whoever changes any of it later voids the "
                 "signature. Comments do not.", class_="nx-quiet"),
    )  # fmt: skip
    st.download_button(
        "Download the record", record, file_name=f"run-{run.id}-{line.role.value}.json", mime="application/json",
        icon=":material/download:", on_click="ignore",
    )  # fmt: skip
