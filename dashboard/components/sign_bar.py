"""The sign-off of a run at a glance: each role with who signed or could sign, and what stands in the way."""

from __future__ import annotations

from checklists.grammar import SignOff
from checklists.reads import ChecklistRun, RunState
from checklists.schema import Template
from checklists.signoff import could_sign, holding, missing, statement
from dashboard import queries_checklists as reads
from dashboard.access import guarded_fragment, signed_in
from dashboard.components.layout import section
from dashboard.components.markup import Html, link, show, tag, url
from dashboard.components.sign_words import expedited, lines_of, may_look_to_sign, signature_words
from dashboard.components.states import chip
from jobs.core.people import Person

_SHOWN = 3


@guarded_fragment(run_every=5, parallel=False)
def sign_bar(run_id: int) -> None:
    """Who has signed, who has not, and why not; nothing for a list that nobody signs."""
    run = reads.run(run_id)
    lines = lines_of(run)
    if lines:
        done = sum(holding(run, line.role) is not None for line in lines)
        section("Sign-off", f"{done} of {len(lines)} signed")
        person = signed_in()
        show(expedited(run), tag("ol", *(bar_line(run, line, person) for line in lines), class_="nx-sg-bar"))
    if said := newer_version(run):
        show(said)


def newer_version(run: ChecklistRun) -> Html:
    """That the definition has changed since, with the way to what that means for this run."""
    newest = next(
        (one.version for one in reads.templates() if isinstance(one, Template) and one.id == run.template.id), None
    )
    if run.state is not RunState.OPEN or newest in {None, run.template_version}:
        return Html("")
    look = link("See what would change", url("move", id=run.id), class_="nx-link nx-inline")
    return tag("p", chip("note", "newer version"), " The definition has changed since this run was started. ", look)


def bar_line(run: ChecklistRun, line: SignOff, person: Person) -> Html:
    """One role: its signatures, void ones too, and while it has none that holds, who could sign and what comes first."""
    signatures = [signature_words(one, line.title) for one in run.signatures if one.role is line.role]
    standing: list[Html] = []
    if holding(run, line.role) is None and run.state is RunState.OPEN:
        names = [one.name for one in could_sign(run, line, reads.people())]
        able = f"{', '.join(names)} can sign" if names else "nobody can sign as things stand"
        standing = [
            tag("p", chip("open", "not signed"), " ", able),
            _in_the_way(run, line),
            link("Look and sign" if person.name in names else "Look at what is signed",
                 url("signing", id=run.id, role=line.role.value), class_="nx-link nx-inline",
                 aria_label=f"Look at what {line.title} signs")
            if may_look_to_sign(person) else Html(""),
        ]  # fmt: skip
    return tag(
        "li",
        tag("div", tag("b", line.title), tag("span", f"{line.meaning}: {statement(line)}", class_="nx-note")),
        tag("div", *signatures, *standing),
    )


def _in_the_way(run: ChecklistRun, line: SignOff) -> Html:
    first = missing(run, line)
    if not first:
        return tag("p", "Nothing stands in the way.", class_="nx-quiet")
    more = f" and {len(first) - _SHOWN} more" if len(first) > _SHOWN else ""
    return tag("p", f"First: {', '.join(first[:_SHOWN])}{more}.".replace("`", ""), class_="nx-quiet")
