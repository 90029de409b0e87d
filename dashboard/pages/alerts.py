"""What fires, who has it, and what was done?"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta

import streamlit as st

from dashboard import queries_alerts as reads
from dashboard import queries_checklists as people
from dashboard.access import guarded_fragment, may, require
from dashboard.components.alert_actions import ask_acknowledge_many, ask_plan, buttons, ways_to_act
from dashboard.components.alert_lists import draw_silences, past_table, rules_table
from dashboard.components.alert_words import alert_line, quiet_by
from dashboard.components.filters import choice
from dashboard.components.layout import empty, page_head, section
from dashboard.components.markup import Html, link, show, tag, url
from dashboard.components.pager import before_id, first_page, pager
from dashboard.components.states import chip
from dashboard.components.times import age
from dashboard.queries_alerts import Filters, Firing
from jobs.alerts.model import Alert
from jobs.core.permissions import Right

person = require(Right.VIEW)
MAY_ACT = may(person, Right.ACT_ON_ALERTS)
NAMES = dict(people.accounts())
NOW, SILENCES, PAST, RULES = "now", "silences", "past", "rules"
# Alerts in the list, and how many of them have their buttons there: the others have them on their own page, a click away.
MOST, AT_HAND = 20, 5
# How many can be taken at once.
TOGETHER = 50
# The rules are evaluated every 15 s; after this long nobody may trust that nothing fires.
SILENT_AFTER = timedelta(seconds=90)
_STATES = {"fires": "firing", "resolved": "resolved"}


@guarded_fragment(run_every=5, parallel=False)
def firing() -> None:
    found = reads.firing()
    following = defaultdict[int, list[Alert]](list)
    there = {one.id for one in found.alerts}
    for one in found.alerts:
        if one.folded_into in there:
            following[one.folded_into].append(one)
    top = [one for one in found.alerts if one.folded_into not in there]
    loud, quiet = list[Alert](), list[Alert]()
    for one in top:
        (loud if quiet_by(one, found.silences, found.at) is None else quiet).append(one)
    free = [one for one in loud if one.acknowledged_at is None]
    taken = [one for one in loud if one.acknowledged_at is not None]
    at_hand = frozenset(one.id for one in [*free, *taken, *quiet][:AT_HAND])
    with HEAD:
        page_head(*_headline(found, loud, free))
    _watched(found)
    if (
        MAY_ACT
        and len(free) > 1
        and st.button(f"Acknowledge all {len(free)}", key="ack-all", icon=":material/front_hand:")
    ):
        ask_acknowledge_many(free[:TOGETHER])
    if not top:
        empty("What fires will stand here, the worst first, with who has it and what to do.",
              action=link("What has fired before", url("alerts", view=PAST)))  # fmt: skip
    _lines(loud, found, following, at_hand)
    if quiet:
        section("Silenced", "nobody is told of these")
        _lines(quiet, found, following, at_hand)


def _lines(alerts: list[Alert], found: Firing, following: dict[int, list[Alert]], at_hand: frozenset[int]) -> None:
    """A line each; those that follow one another without buttons are one piece of the page."""
    drawn: list[Html] = []
    # Whatever has its buttons here is here, also where it is younger than twenty that somebody has.
    shown = [one for place, one in enumerate(alerts) if place < MOST or one.id in at_hand]
    for one in shown:
        rule, follow = found.rules.get(one.rule), following.get(one.id, ())
        if one.id in at_hand:
            show(*drawn, alert_line(one, found, NAMES, follow))
            drawn = []
            buttons(one, rule, person, incident=found.incidents.get(one.id))
        else:
            drawn.append(alert_line(one, found, NAMES, follow, acts=ways_to_act(one, rule, person)))
    if len(alerts) > len(shown):
        more = f"and {len(alerts) - len(shown):,} more that are less bad or younger"
        drawn.append(tag("p", link(more, url("alerts", view=PAST, state="fires"))))
    if drawn:
        show(*drawn)


def _headline(found: Firing, loud: list[Alert], free: list[Alert]) -> tuple[str, Html | str]:
    soon = f"{found.pending} more may: the condition holds, but not yet for long enough." if found.pending else ""
    if not loud and _unwatched(found):
        return "Nobody knows what fires: the rules are not evaluated", soon
    if not loud:
        return (
            "No alert needs anybody" if found.alerts else "No alert fires",
            soon or "Rules say what alerts, and for whom.",
        )
    number = "One alert fires" if len(loud) == 1 else f"{len(loud)} alerts fire"
    who = "somebody has each" if not free else "nobody has it" if len(loud) == 1 else f"nobody has {len(free)} of them"
    return f"{number}, {who}", soon


def _unwatched(found: Firing) -> bool:
    return found.watched_until is None or found.at - found.watched_until > SILENT_AFTER


def _watched(found: Firing) -> None:
    """Says it when the rules are not evaluated: then nothing fires because nobody looks."""
    if found.watched_until is None:
        st.warning(
            "The rules were never evaluated: the job evaluate-alerts does so once a worker runs.",
            icon=":material/warning:",
        )
    elif _unwatched(found):
        show(tag("p", chip("critical", "not evaluated"), " since ", age(found.watched_until),
                 ": what began to go wrong since then does not stand here. ",
                 link("Does evaluate-alerts run?", url("runs", job="evaluate-alerts"), class_="nx-link nx-inline")))  # fmt: skip


@guarded_fragment(run_every=15, parallel=False)
def silences() -> None:
    found, at = reads.silences(), reads.firing().at
    now = [one for one in found if one.ended_at is None and one.ends_at > at]
    lasting = sum(one.lasts(at) for one in now)
    planned = f", {len(now) - lasting} planned" if len(now) > lasting else ""
    kept = "Nothing is silenced" if not lasting else "One silence" if lasting == 1 else f"{lasting} silences"
    counted = f"{kept}{' in force' if lasting else ''}{planned}"
    with HEAD:
        page_head(counted, "A silence begins at once; a maintenance window is planned.")
    if MAY_ACT and st.button("Plan a maintenance window", key="plan-open", icon=":material/event:"):
        ask_plan(reads.firing().rules)
    if not now:
        empty(
            "Silences and maintenance windows will stand here.",
            "Silence an alert where it fires, or plan a window before work begins.",
        )
    draw_silences(now, NAMES, at, may_end=MAY_ACT)
    over = [one for one in reversed(found) if one not in now]
    if over:
        section("Over", "of the last seven days")
        draw_silences(over[:MOST], NAMES, at, may_end=False)


def past() -> None:
    with HEAD:
        page_head("What has fired", "The newest first.")
    titles = {rule.name: rule.title for rule, _ in reads.rules()}
    with st.container(key="nx-filters", horizontal=True, vertical_alignment="bottom", gap="medium"):
        rule = choice("Rule", titles, key="rule")
        state = choice("State", _STATES, key="state")
        subject = st.text_input("Of what", key="subject", bind="query-params", max_chars=200, on_change=first_page,
                                placeholder="A job, a server, a host")  # fmt: skip
    filters = Filters(rule, (subject or "").replace("\x00", "").strip() or None, _STATES.get(state or ""))  # type: ignore[arg-type]
    found = reads.past(filters, before_id())
    shown = found[: reads.PAGE]
    if shown:
        past_table(shown, titles, NAMES)
    elif filters or before_id() is not None:
        empty(
            "Nothing fits these filters.",
            "Take one away to see more.",
            link("All that fired", url("alerts", view=PAST)),
        )
    else:
        empty("Nothing has fired yet.", "Each alert will stay here with who had it and how it ended.")
    pager("alerts", older=shown[-1].id if len(found) > reads.PAGE else None)


def rules() -> None:
    found = reads.rules()
    on = sum(rule.enabled for rule, _ in found)
    with HEAD:
        page_head(f"{on} of {len(found)} rules are on" if on < len(found) else f"{on} rules are on",
                  "Each says what is too much, for how long, and who is told.")  # fmt: skip
    if may(person, Right.EDIT_ALERTS):
        show(link("New rule", url("rule", new=1), class_="nx-link nx-onward"))
    if not found:
        empty("The rules will stand here.", "Those that come with the desk are put in by `nexaops upgrade`.")
        return
    rules_table(found)


# Each view says its own heading, and what chooses between them stands below it.
HEAD = st.empty()
view = st.segmented_control(
    "Shown", [NOW, SILENCES, PAST, RULES], default=NOW, required=True, key="view", bind="query-params",
    label_visibility="collapsed", on_change=first_page,
)  # fmt: skip
{NOW: firing, SILENCES: silences, PAST: past, RULES: rules}[view or NOW]()
