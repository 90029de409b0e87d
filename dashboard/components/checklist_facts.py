"""What is known of a line, in small under its text: who and when, what its check says, what it waits for, who has it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from checklists.grammar import Effect
from checklists.lines import CheckState, Standing, State, TrackedItem
from checklists.proofs import PROVEN, SYSTEM
from dashboard.components.checklist_view import View
from dashboard.components.checklist_words import by_name, plain
from dashboard.components.instants import instant
from dashboard.components.markup import Html, join, link, tag, url
from dashboard.components.states import chip, shape
from dashboard.components.times import age


def facts(view: View, item: TrackedItem) -> Html:
    """All of it, one thing a line; nothing for a line that nobody touched and that asks for nothing."""
    return join(*(tag("div", *fact, class_="nx-cl-fact") for fact in _facts(view, item)))


def _facts(view: View, item: TrackedItem) -> Iterator[tuple[object, ...]]:
    if said := who(item):
        yield (said,)
    if chosen := _decided(view, item):
        yield (chosen,)
    if item.holds is not None:
        yield chip("warn", "does not count yet"), " ", item.holds
    if running := view.under_way.items.get(item.id):
        yield chip("running", "checking"), f" asked for by {running}"
    elif item.definition.check is not None and item.mark.state is not State.NA:
        yield (check_words(item),)
    if refused := view.under_way.refused.get(item.id):
        yield (tag("span", refused, class_="nx-cl-refused", role="alert"),)
    if item.mark.evidence:
        yield "Evidence: ", ", ".join(item.mark.evidence)
    if item.mark.state is State.OPEN:
        yield from _awaited(view, item)
    if item.mark.assigned is not None or item.mark.due_at is not None or item.due_at is not None:
        yield (_given(view, item),)


def who(item: TrackedItem) -> Html:
    """Who brought the line to where it is, when and why; nothing for one that nobody touched."""
    mark = item.mark
    if item.applies_not is not None and mark.at is None:
        return join(shape("na"), f"Does not apply. {item.applies_not}")
    if mark.at is None or mark.version == 1:
        return Html("")
    did = {State.DONE: "", State.NA: "does not apply, ", State.OPEN: "reopened by "}[mark.state]
    parts: list[object] = [shape("na") if mark.state is State.NA else "", did, by_name(mark.by, mark.name), " ",
                           instant(mark.at, seconds=False)]  # fmt: skip
    if mark.performed_at is not None:
        parts += [" · entered late, done ", instant(mark.performed_at, seconds=False)]
    if item.early and item.opens_at is not None:
        parts += [" · early, due from ", instant(item.opens_at, seconds=False)]
    if mark.verified_at is not None:
        parts += [" · verified by ", by_name(mark.verified_by, mark.verifier), " ",
                  instant(mark.verified_at, seconds=False)]  # fmt: skip
    if mark.reason == PROVEN:
        parts.append(" · by its check" if mark.by != SYSTEM.email else "")
    elif mark.reason:
        parts.append(tag("q", mark.reason))
    return join(*parts)


def check_words(item: TrackedItem) -> Html:
    """What the line's check says and how old that is: "passed 3 min ago", "failed: …", "cannot run: …"."""
    check = item.check
    if check is None:
        must = item.definition.check is not None and item.definition.check.effect is Effect.BLOCK
        return tag("span", f"Check not run yet{', it must pass' if must else ''}", class_="nx-quiet")
    ago = age(check.at)
    match item.standing:
        case Standing.PASSED:
            return join(chip("ok", "passed"), " ", ago, tag("span", f" {check.summary}", class_="nx-quiet"))
        case Standing.FAILED:
            return join(chip("critical", "failed"), f": {check.summary} ", ago, _mend(check))
        case Standing.UNABLE:
            return join(chip("warn", "cannot run"), f": {check.mend or check.summary} ", ago,
                        tag("div", check.summary, class_="nx-quiet") if check.mend else "")  # fmt: skip
        case Standing.GATHERED:
            return join(chip("note", "gathered"), " ", ago, f" {check.summary} ",
                        tag("span", "Judge it yourself.", class_="nx-quiet"))  # fmt: skip
        case _:
            was = {Standing.UNABLE: "could not run"}.get(check.verdict, check.verdict.value)
            return join(chip("stale", "too old"), f": {was} ", ago, tag("span", f" {check.summary}", class_="nx-quiet"))


def _mend(check: CheckState) -> Html:
    return tag("div", check.mend, class_="nx-quiet") if check.mend else Html("")


def _decided(view: View, item: TrackedItem) -> Html:
    """How a decision went, and the list that it started."""
    child = view.run.children.get(item.id)
    choice = next((one for one in item.definition.decide if one.id == item.mark.choice), None)
    said: list[object] = []
    if choice is not None:
        said += ["decided: ", tag("b", choice_word(choice.id))]
    if child is not None:
        title = view.titles.get(choice.start or "", "the other list") if choice is not None else "a list"
        onward = link(f"“{title}”, run {child}", url("checklist", id=child), class_="nx-link nx-inline")
        said += [" · " if said else "", "started ", onward]
    return join(*said)


def choice_word(choice_id: str) -> str:
    """ "Roll back" for roll-back."""
    words = choice_id.replace("-", " ").replace("_", " ")
    return words[:1].upper() + words[1:]


def _awaited(view: View, item: TrackedItem) -> Iterator[tuple[object, ...]]:
    if item.missing_evidence:
        yield (tag("span", f"Takes evidence first: {', '.join(item.missing_evidence)}", class_="nx-cl-asked"),)
    if item.definition.wait is not None:
        if item.opens_at is None:
            yield (tag("span", "Its time begins when what stands above it is done", class_="nx-quiet"),)
        elif item.opens_at > view.run.read_at:
            yield "Opens ", countdown(item.opens_at, view.run.read_at)


def countdown(until: datetime, now: datetime) -> Html:
    """ "in 12 min 04 s", counting down in the browser, and at what time that is."""
    left = max((until - now).total_seconds(), 0)
    minutes, seconds = divmod(int(left), 60)
    return join(
        tag("time", f"in {minutes} min {seconds:02d} s", class_="nx-num", data_left=f"{left:.0f}",
            datetime=until.isoformat()),
        " at ", instant(until, seconds=False),
    )  # fmt: skip


def _given(view: View, item: TrackedItem) -> Html:
    """Who has the line and until when; late stands out."""
    due = item.mark.due_at or item.due_at
    has = f"{item.mark.assigned} has it" if item.mark.assigned else ""
    if due is None:
        return Html(tag("span", has))
    late = item.mark.state is State.OPEN and due < view.run.read_at
    when = join("due ", instant(due, seconds=False))
    return join(has, ", " if has else "", chip("warn", "overdue") if late else "", " " if late else "", when)


def when_due(item: TrackedItem, now: datetime) -> Html:
    """Of one occurrence: from when it is due, in as few words as tell it."""
    if item.opens_at is None or item.due_at is None or item.definition.repeat is None:
        return Html("")
    days = item.definition.repeat.every.total_seconds() >= 86_400
    at = f"{item.opens_at:%a %-d %b}" if days else f"{item.opens_at:%H:%M}"
    if now < item.opens_at:
        return tag("span", f"from {at}")
    return join(shape("warn"), f"late, {at}") if now >= item.due_at else tag("b", f"now, {at}")


def names_line(item: TrackedItem) -> str:
    """A line's text for a list of blockers."""
    text = plain(item.label)
    return text if len(text) <= 48 else f"{text[:47].rstrip()}…"
