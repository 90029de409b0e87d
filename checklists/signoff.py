"""Who may sign a run, and what must come first.

Pure: a run as it stands and a would-be signer go in, a refusal with one sentence comes out. The rules:

- A line of the sign-off is signed by somebody who holds its role. No other role stands in for it: administrators, who
  may tick everything, sign only what they are named for.
- Separation goes both ways and is about people, not roles: whoever signed one of two separated lines cannot sign the
  other. `verified` and `approved` are also judgements of work, so a line with these meanings is not for whoever did work
  of a role that it names in `not`: who closed a line of that role in what is signed, or holds that role and closed a line
  that is anybody's. Second persons and comments are not work. Somebody who signs on behalf of another must pass for both.
- Everything in the scope is closed, and what a check has proven is still proven: a result that is too old, or no pass
  where one must be, comes first. A tick that a person gave against a failing check, with a reason, is theirs and stands;
  it is shown among the exceptions.
- Signatures named in `after` come first.
- An expedited run has one more line: the review of the decision, by somebody else than who took it.
- A rejection takes the role and the separation, not the order: it may come at any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from checklists.eligible import separated, shortage
from checklists.grammar import Meaning, SignOff
from checklists.lines import State, TrackedItem, leaves
from checklists.reads import ChecklistRun
from checklists.record import in_scope
from checklists.schema import Template
from checklists.signatures import Signature
from checklists.tracker import Refused
from jobs.core.errors import Conflict, Forbidden, NexaError, NotFound
from jobs.core.people import Person
from jobs.core.permissions import Role

_JUDGES = frozenset({Meaning.VERIFIED, Meaning.APPROVED})
# The first of these that the definition itself does not name reviews an expedited start.
_REVIEWERS = (Role.RELEASE_MANAGER, Role.PROJECT_MANAGER, Role.ADMINISTRATOR, *Role)
_WORDS = {
    Meaning.AUTHORED: "I wrote it.",
    Meaning.VERIFIED: "I verified it.",
    Meaning.EXECUTED: "I carried it out.",
    Meaning.APPROVED: "I approve it.",
}


@dataclass(frozen=True, slots=True)
class Signer:
    """Somebody who would sign: e-mails, names, and the roles that the signer holds."""

    email: str
    name: str
    roles: frozenset[Role]
    on_behalf_of: str | None = None
    on_behalf_name: str | None = None

    @property
    def people(self) -> tuple[str, ...]:
        """Everybody who stands behind the signature."""
        return (self.email,) if self.on_behalf_of is None else (self.email, self.on_behalf_of)


def sign_offs(template: Template, *, urgent: bool) -> tuple[SignOff, ...]:
    """The lines to be signed: the definition's, and of an expedited run its review."""
    if not urgent:
        return template.signoff
    named = {line.role for line in template.signoff}
    reviewer = next(role for role in _REVIEWERS if role not in named)
    review = {
        "role": reviewer.value,
        "title": "Review of the expedited start",
        "meaning": Meaning.VERIFIED.value,
        "says": "I reviewed why this was expedited and what went ahead without signatures.",
    }
    return (*template.signoff, SignOff.model_validate(review))


def is_review(run: ChecklistRun, line: SignOff) -> bool:
    """Whether the line is the review of an expedited start."""
    return all(line.role is not own.role for own in run.template.signoff)


def line_for(run: ChecklistRun, role: Role) -> SignOff:
    """The run's line of this role; NotFound."""
    for line in sign_offs(run.template, urgent=run.urgent is not None):
        if line.role is role:
            return line
    raise NotFound(f"Nobody signs run {run.id} as {role.value}: open the run again.")


def statement(line: SignOff) -> str:
    """The words that are signed."""
    return line.says or _WORDS[line.meaning]


def holding(run: ChecklistRun, role: Role) -> Signature | None:
    """The signature of this role that holds; None while there is none."""
    return next((signature for signature in run.signatures if signature.role is role and signature.holds), None)


def unsigned(run: ChecklistRun) -> tuple[SignOff, ...]:
    """The lines that are still to be signed before the run can be closed as done."""
    lines = sign_offs(run.template, urgent=run.urgent is not None)
    return tuple(line for line in lines if holding(run, line.role) is None)


def unfilled(template: Template, people: Iterable[Person], *, urgent_by: str | None = None) -> str | None:
    """Which roles of its sign-off nobody could fill, in one sentence without its full stop; None if people can.

    `people` have open accounts; `urgent_by` would start it expedited, and cannot review that.
    """
    people = tuple(people)
    lines = sign_offs(template, urgent=urgent_by is not None)
    barred = {line.role: (urgent_by,) for line in lines[len(template.signoff) :]} if urgent_by else {}
    short = shortage(lines, {person.email: person.roles for person in people}, barred)
    return None if short is None else short.words({person.email: person.name for person in people})


def missing(run: ChecklistRun, line: SignOff) -> tuple[str, ...]:
    """What must come before this line is signed, each in a few words; empty if nothing must."""
    return tuple(_missing(run, line))


def could_sign(run: ChecklistRun, line: SignOff, people: Iterable[Person]) -> list[Person]:
    """Those who could sign the line, whatever must come first."""
    # Whoever did nothing in the run is apart from everybody, and those are the many: only the others are judged one by one.
    known = {run.started_by, *(item.mark.by for item in leaves(run.phases))}
    known |= {email for signature in run.signatures for email in signature.signers}
    return [
        person
        for person in people
        if line.role in person.roles
        and (
            person.email not in known
            or why_not_person(run, line, Signer(person.email, person.name, person.roles)) is None
        )
    ]


def why_not_sign(run: ChecklistRun, line: SignOff, signer: Signer) -> NexaError | None:
    """Why this person cannot sign this line now; None if they can."""
    already = holding(run, line.role)
    if already is not None:
        when = f"{already.signed_at:%H:%M} UTC on {already.signed_at:%-d %B}"
        return Conflict(f"{already.name} signed as {line.title} at {when}: look again first.")
    refusal = why_not_person(run, line, signer)
    if refusal is not None:
        return refusal
    before = missing(run, line)
    if before:
        more = f" and {len(before) - 3} more" if len(before) > 3 else ""
        return Refused(f"{line.title} cannot sign yet: {', '.join(before[:3])}{more} must come first.")
    return None


def why_not_person(run: ChecklistRun, line: SignOff, signer: Signer) -> NexaError | None:
    """Why this person can never sign this line as things stand, whatever else comes first; None if they could."""
    if signer.on_behalf_of is None and line.role not in signer.roles:
        return Forbidden(
            f"You may not sign as {line.title}: that takes the role {line.role.value}, and no other will do."
        )
    for email in signer.people:
        named = "You" if email == signer.email else signer.on_behalf_name or email
        if is_review(run, line) and email == run.started_by:
            return Forbidden(f"{named} started this run expedited: somebody else reviews that.")
        for other in sign_offs(run.template, urgent=run.urgent is not None):
            signature = holding(run, other.role)
            if other.role in _apart(run, line) and signature is not None and email in signature.signers:
                return Forbidden(f"{named} signed as {other.title}: somebody else must sign as {line.title}.")
        work = next(_own_work(run, line, email, signer), None)
        if work is not None:
            return Forbidden(
                f"{named} closed “{work.label}” of what {line.title} answers for: somebody else must sign as {line.title}."
            )
    return None


def exceptions(run: ChecklistRun, line: SignOff) -> Iterator[tuple[TrackedItem, str]]:
    """What in the scope did not go the usual way, for whoever signs it to look at: each line with why."""
    for item in leaves(in_scope(run.phases, run.template, line.role)):
        mark = item.mark
        if item.holds:
            yield item, f"it is done but does not count: {item.holds}"
        if mark.performed_at is not None:
            yield item, f"it was entered late, done at {mark.performed_at:%Y-%m-%d %H:%M} UTC"
        if mark.state is State.DONE and item.overruled:
            yield item, f"it was ticked although its check said “{item.check.summary if item.check else ''}”"
        if mark.state is State.DONE and item.occurrence and item.opens_at and mark.at and mark.at < item.opens_at:
            yield item, f"it was ticked before it was due at {item.opens_at:%H:%M} UTC on {item.opens_at:%-d %B}"
        if mark.state is State.DONE and item.due_at and mark.at and mark.at > item.due_at:
            yield item, f"it was ticked after it fell due at {item.due_at:%H:%M} UTC on {item.due_at:%-d %B}"
        if mark.state is State.OPEN:
            yield item, "it was left open" if item.definition.need == "optional" else "it is open"


def _missing(run: ChecklistRun, line: SignOff) -> Iterator[str]:
    titles = {other.role: other.title for other in run.template.signoff}
    for role in line.after:
        if holding(run, role) is None:
            yield f"the signature of {titles[role]}"
    phases = in_scope(run.phases, run.template, line.role)
    for phase in phases:
        yield from phase.left_words
    for phase in phases:
        yield from phase.unproven_words


def _apart(run: ChecklistRun, line: SignOff) -> frozenset[Role]:
    return separated(sign_offs(run.template, urgent=run.urgent is not None))[line.role]


def _own_work(run: ChecklistRun, line: SignOff, email: str, signer: Signer) -> Iterator[TrackedItem]:
    """The lines in the scope that this person closed in a role which the line is separated from."""
    if line.meaning not in _JUDGES or not line.not_:
        return iter(())
    theirs = signer.roles if email == signer.email else frozenset(line.not_)
    return (
        item
        for item in leaves(in_scope(run.phases, run.template, line.role))
        if item.mark.state is not State.OPEN
        and item.mark.by == email
        and (item.role in line.not_ or (item.role is None and bool(theirs & set(line.not_))))
    )
