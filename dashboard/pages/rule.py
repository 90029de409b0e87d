"""When does this rule alert, whom does it tell, and what would it have done?"""

from __future__ import annotations

import streamlit as st
from sqlalchemy import Connection

from checklists.schema import Template
from dashboard import queries_alerts as reads
from dashboard import queries_checklists as people
from dashboard.access import may, origin, require, told
from dashboard.actions import ask
from dashboard.components import rule_form
from dashboard.components.actors import named
from dashboard.components.alert_words import steps_in_words
from dashboard.components.audit_words import changes, difference, done
from dashboard.components.instants import instant
from dashboard.components.layout import empty, page_head, section, table
from dashboard.components.markup import Html, join, link, show, tag, url
from dashboard.components.states import chip
from dashboard.components.times import age, clock
from dashboard.desk import desk
from jobs.alerts.editing import delete_rule, is_edited, reset_rule, save_rule, switch_rule
from jobs.alerts.model import Rule
from jobs.alerts.shipped import SHIPPED
from jobs.alerts.signals import SIGNALS
from jobs.alerts.store import rule_values
from jobs.alerts.words import condition_in_words
from jobs.core.errors import NotFound
from jobs.core.people import Person
from jobs.core.permissions import Right
from jobs.probes.attention import span

person = require(Right.VIEW)
MAY_EDIT = may(person, Right.EDIT_ALERTS)
NAMES = dict(people.accounts())
MOST_EPISODES = 20


def asked_for() -> Rule:
    """The rule that the address names, or a new one; a sentence and the end of the page if there is none."""
    name = st.query_params.get("name", "").replace("\x00", "")
    try:
        if not name and MAY_EDIT and "new" in st.query_params:
            return rule_form.NEW
        if not name:
            raise NotFound("No rule is named.")
        return reads.rule(name[:100])
    except NotFound as error:
        page_head("There is no such rule", str(error))
        empty("One rule, what it would have done, and what was done to it stands here.",
              action=link("All rules", url("alerts", view="rules")))  # fmt: skip
        st.stop()


rule = asked_for()
IS_NEW = rule.version == 0


def head() -> None:
    back = link("all rules", url("alerts", view="rules"), class_="nx-link nx-inline")
    if IS_NEW:
        page_head("A new rule", back)
        return
    state = chip("on", "on") if rule.enabled else chip("off", "off: it is not evaluated")
    own = "of your own" if not rule.shipped else "changed here" if is_edited(rule) else "as it came with the desk"
    fired = link("what it fired", url("alerts", view="past", rule=rule.name), class_="nx-link nx-inline")
    page_head(
        rule.title,
        join(state, f" · {condition_in_words(rule)} · ", chip(rule.severity), f" · {own} · ", fired, " · ", back),
    )


def acts() -> None:
    """Switch, reset, delete; what does not fit is not shown."""
    with st.container(key="nx-ruleacts", horizontal=True, gap="small"):
        word = "off" if rule.enabled else "on"
        if st.button(
            f"Switch {word}", key="switch", icon=":material/toggle_off:" if rule.enabled else ":material/toggle_on:"
        ):
            ask_switch(word)
        if is_edited(rule) and st.button("Reset", key="reset", icon=":material/restart_alt:"):
            ask_reset()
        if not rule.shipped and st.button("Delete", key="delete", icon=":material/delete:"):
            ask_delete()


def ask_switch(word: str) -> None:
    def command(conn: Connection, actor: Person, why: str) -> str:
        switch_rule(conn, rule.name, word == "on", actor.email, reason=why, origin=origin())
        return f"{rule.title}: {word}."

    what = ("It is evaluated again from now on." if word == "on"
            else "Nothing of it alerts any more, and what fires of it ends with the next evaluation.")  # fmt: skip
    ask(f"Switch {rule.name} {word}", what, verb=f"Switch {word}", right=Right.EDIT_ALERTS, command=command,
        key=f"switch-{rule.name}-{word}")  # fmt: skip


def ask_reset() -> None:
    def command(conn: Connection, actor: Person, why: str) -> str:
        reset_rule(conn, rule.name, rule.version, actor.email, reason=why, origin=origin())
        return f"{rule.title} is as it came with the desk."

    ask(f"Reset {rule.name}", lambda: meaning(SHIPPED[rule.name]), verb="Reset it", right=Right.EDIT_ALERTS,
        command=command, key=f"reset-{rule.name}-{rule.version}")  # fmt: skip


def ask_delete() -> None:
    def command(conn: Connection, actor: Person, why: str) -> str:
        delete_rule(conn, rule.name, actor.email, reason=why, origin=origin())
        return f"{rule.title} is deleted."

    ask(f"Delete {rule.name}", "It is gone for good; what it fired stays.", verb="Delete it", right=Right.EDIT_ALERTS,
        command=command, key=f"delete-{rule.name}")  # fmt: skip


def ask_save(draft: Rule, key: str) -> None:
    def command(conn: Connection, actor: Person, why: str) -> str:
        save_rule(conn, draft, rule.version, actor.email, channels=_channels(), reason=why, origin=origin())
        return f"{draft.title} is saved."

    ask("Add this rule" if IS_NEW else f"Change {rule.name}", lambda: meaning(draft), verb="Save", right=Right.EDIT_ALERTS,
        command=command, key=f"{key}-save")  # fmt: skip


def meaning(draft: Rule) -> Html:
    """What saving does, in a dialog."""
    effect = (f"From the next evaluation on it alerts when {condition_in_words(draft)}, and tells {steps_in_words(draft.steps)}."
              if draft.enabled else "It is off: nothing of it alerts.")  # fmt: skip
    ends = "" if IS_NEW else tag("p", "What fires of it and would not any more ends then.", class_="nx-quiet")
    old = {} if IS_NEW else rule_values(rule)
    return join(tag("p", effect, class_="nx-strong"), ends, difference(changes(old, rule_values(draft))))


def preview(draft: Rule) -> None:
    """What the draft would have done, at once."""
    section("What it would have done", "by what was read in the last seven days")
    with told():
        found = reads.preview(draft)
        show(tag("p", found.sentence, class_="nx-strong"))
        if found.episodes:
            table(
                ("From", "Until", "For", "Of what"),
                [
                    (clock(one.since), "now" if one.goes_on else clock(one.until),
                     span((one.until - one.since).total_seconds()), one.subject or "–")
                    for one in found.episodes[: -MOST_EPISODES - 1 : -1]
                ],
                label="When it would have fired, newest first",
            )  # fmt: skip
        if len(found.episodes) > MOST_EPISODES:
            show(tag("p", f"These are the newest {MOST_EPISODES} of {len(found.episodes):,}.", class_="nx-note"))


def form() -> None:
    """The fields, what they mean, and the button that saves them."""
    section("The rule" if IS_NEW else "Change it", "nothing is saved before you confirm it")
    # Another version of the rule, another form: it begins with what stands now.
    key = f"rule-{rule.name}-{rule.version}"
    books = {one.id: one.title for one in people.templates() if isinstance(one, Template)}
    left, right = st.columns([3, 2], gap="large")
    with left:
        draft = rule_form.draw(
            rule, key=key, rules={one.name: one.title for one, _ in reads.rules()}, runbooks=books, people=NAMES,
            channels=_channels(),
        )  # fmt: skip
    with right, st.container(key="nx-ruleahead"):
        preview(draft)
        if draft == rule and not IS_NEW:
            show(tag("p", "Nothing is changed yet.", class_="nx-quiet"))
        elif st.button("Save", key="save", type="primary", icon=":material/save:"):
            ask_save(draft, key)


def _channels() -> tuple[str, ...]:
    # Apprise is 0.2 s of imports, which only a form has to pay.
    from jobs.alerts.channels import channels_of  # noqa: PLC0415

    return tuple(channel.name for channel in channels_of(desk().settings))


def facts() -> None:
    """Everything that it says, for those who only look."""
    signal = SIGNALS.get(rule.signal)
    titles = {one.name: one.title for one, _ in reads.rules()}
    causes = ", ".join(titles.get(name, name) for name in rule.folds_into)
    rows: list[tuple[str, object]] = [
        ("Watches", signal.means if signal is not None else rule.signal),
        ("Alerts when", condition_in_words(rule)),
        ("Of what", "everything" if rule.subject == "*" else rule.subject),
        ("Tells", steps_in_words(rule.steps)),
        ("Reminds", f"every {span(rule.repeat_s)} until somebody has it" if rule.repeat_s else "nobody"),
        ("Follows from", causes or "no other rule"),
        ("Runbook", link(rule.runbook, url("checklists", template=rule.runbook), class_="nx-link nx-inline")
         if rule.runbook else "none"),
    ]  # fmt: skip
    show(tag("dl", *(join(tag("dt", label), tag("dd", value)) for label, value in rows), class_="nx-facts"))


def past() -> None:
    """Everything that was done to it, newest first."""
    section("History", "newest first, times in UTC")
    found = reads.past_of_rule(rule.name)
    if not found:
        by = named(rule.changed_by, NAMES)
        empty("Who changed it and why will stand here.",
              action=tag("p", "It stands so since ", instant(rule.changed_at), ", by ", by) if rule.changed_at else None)  # fmt: skip
    for one in found:
        show(
            tag(
                "div",
                tag("div", clock(one.at), tag("div", named(one.actor, NAMES), " ", age(one.at), class_="nx-note")),
                tag("div", tag("b", done(one.action)), tag("div", one.reason or "", class_="nx-note")),
                difference(changes(one.old, one.new)) if one.old or one.new else tag("span"),
                class_="nx-past",
            )
        )


head()
if MAY_EDIT and not IS_NEW:
    acts()
if MAY_EDIT:
    form()
else:
    facts()
    preview(rule)
if not IS_NEW:
    past()
