"""Signatures in words and small markup: whose, when, with which meaning, and what became of them."""

from __future__ import annotations

from checklists.grammar import SignOff
from checklists.reads import ChecklistRun
from checklists.signatures import Signature, SignatureKind
from checklists.signoff import holding, sign_offs
from dashboard.components.instants import instant
from dashboard.components.markup import Html, join, tag
from dashboard.components.states import chip
from dashboard.components.times import now
from jobs.core.people import Person
from jobs.core.permissions import Right, allowed


def lines_of(run: ChecklistRun) -> tuple[SignOff, ...]:
    """The lines that are signed, the review of an expedited start among them."""
    return sign_offs(run.template, urgent=run.urgent is not None)


def may_look_to_sign(person: Person) -> bool:
    """Whether links to the signing page are of use to this person."""
    return allowed(person.roles, Right.TICK)


def signature_words(signature: Signature, title: str) -> Html:
    """One signature or rejection: who, with which meaning, when; a void one struck, with why."""
    behalf = f" on behalf of {signature.on_behalf_name}" if signature.on_behalf_name is not None else ""
    whose = join(tag("b", signature.name), behalf, f", {signature.meaning}, ", instant(signature.signed_at))
    if signature.kind is SignatureKind.REJECTED:
        return tag("p", chip("rejected"), " ", whose, tag("q", signature.reason or ""), class_="nx-sg-signature")
    if signature.holds:
        return tag("p", chip("signed"), " ", whose, class_="nx-sg-signature", title=f"{title}: {signature.statement}")
    why = signature.voided_why or "the run is no longer what was signed"
    by = f" by {signature.voider}" if signature.voider is not None else ""
    when = join(", ", instant(signature.voided_at)) if signature.voided_at is not None else ""
    return tag(
        "p", chip("void"), " ", tag("s", whose), tag("span", f" {why}{by}", when, class_="nx-note"),
        class_="nx-sg-signature",
    )  # fmt: skip


def expedited(run: ChecklistRun) -> Html:
    """That a run was expedited, why, and when its review is due; nothing for any other."""
    if run.urgent is None or run.review_due_at is None:
        return Html("")
    review = lines_of(run)[-1]
    signature = holding(run, review.role)
    if signature is not None:
        standing = join("reviewed by ", signature.name, ", ", instant(signature.signed_at, seconds=False))
    elif run.review_due_at < now():
        standing = join("its review is overdue since ", instant(run.review_due_at, seconds=False))
    else:
        standing = join("its review is due by ", instant(run.review_due_at, seconds=False))
    tone = "critical" if signature is None and run.review_due_at < now() else "warn"
    return tag("p", chip(tone, "expedited"), " ", tag("q", run.urgent), " ", standing, class_="nx-sg-expedited")
