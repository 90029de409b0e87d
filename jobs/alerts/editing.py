"""Rules are edited here: saved by one conditional update with old and new values in the audit trail, switched, reset.

Whoever calls has asked whether the person may (`Right.EDIT_ALERTS`). The next evaluation goes by what was saved.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, text

from jobs.alerts.edits import accepted
from jobs.alerts.model import Rule
from jobs.alerts.shipped import SHIPPED
from jobs.alerts.store import get_rule, list_rules, rule_values
from jobs.core import audit
from jobs.core.db import jsonb
from jobs.core.errors import Conflict, UsageError
from jobs.core.people import list_people


def save_rule(
    conn: Connection,
    rule: Rule,
    seen_version: int,
    actor: str,
    *,
    channels: Collection[str],
    reason: str,
    origin: str = "dashboard",
) -> Rule:
    """Saves a rule as it was last seen at `seen_version`; 0: it is new. Returns it as it stands now.

    Raises UsageError for the first value that is not accepted, without a reason, or if nothing would change; Conflict if
    somebody else was faster or the name is taken.
    """
    reason = _reason(reason, rule.name)
    others = {one.name: one.folds_into for one in list_rules(conn) if one.name != rule.name}
    people = [person.email for person in list_people(conn) if person.disabled_at is None]
    values = rule_values(accepted(rule, folds=others, people=people, channels=channels))
    bound = {**values, "steps": jsonb(values["steps"]), "actor": actor, "seen": seen_version}
    if seen_version == 0:
        if not conn.execute(text(_INSERT), bound).rowcount:
            raise Conflict(f"There is a rule {rule.name} already: choose another name.")
        _audit(conn, "rule.added", rule.name, actor, origin, reason, new=values)
        return get_rule(conn, rule.name)
    before = rule_values(get_rule(conn, rule.name))
    old, new = _difference(before, values)
    if not new:
        raise UsageError(f"Nothing of {rule.name} would change.")
    if not conn.execute(text(_UPDATE), bound).rowcount:
        raise _faster(conn, rule.name)
    _audit(conn, "rule.edited", rule.name, actor, origin, reason, old=old, new=new)
    return get_rule(conn, rule.name)


def switch_rule(
    conn: Connection, name: str, enabled: bool, actor: str, *, reason: str, origin: str = "dashboard"
) -> None:
    """Switches a rule on or off: what is open of one that is off ends with the next evaluation. Conflict if it stood so."""
    reason = _reason(reason, name)
    done = conn.execute(
        text(
            "UPDATE ops.alert_rules SET enabled = :enabled, version = version + 1, changed_at = now(), changed_by = :actor"
            " WHERE name = :name AND enabled <> :enabled"
        ),
        {"name": name, "enabled": enabled, "actor": actor},
    )
    if not done.rowcount:
        get_rule(conn, name)
        raise Conflict(f"{name} is {'on' if enabled else 'off'} already.")
    _audit(conn, "rule.edited", name, actor, origin, reason, old={"enabled": not enabled}, new={"enabled": enabled})


def delete_rule(conn: Connection, name: str, actor: str, *, reason: str, origin: str = "dashboard") -> None:
    """Deletes a rule of one's own; what it fired in the past stays.

    Raises NotFound, and Conflict for a shipped one, one with an open alert, or one that others follow from.
    """
    reason = _reason(reason, name)
    rule = get_rule(conn, name)
    if rule.shipped:
        raise Conflict(f"{name} came with the desk: switch it off instead.")
    follow = [one.name for one in list_rules(conn) if name in one.folds_into]
    if follow:
        raise Conflict(f"{', '.join(follow)} follow from {name}: change those first.")
    # An evaluation in which an alert of it begins holds the rule's key: we wait for it here, and the next statement sees
    # what it left. One statement alone would wait as well, and then go by what it had seen before.
    conn.execute(text("SELECT FROM ops.alert_rules WHERE name = :name FOR UPDATE"), {"name": name})
    done = conn.execute(
        text(
            "DELETE FROM ops.alert_rules WHERE name = :name AND NOT shipped AND version = :version"
            # Of one that was told its end is told too, in the rule's words.
            " AND NOT EXISTS (SELECT FROM ops.alerts WHERE rule = :name AND (state <> 'resolved'"
            "   OR (told_at IS NOT NULL AND NOT told_resolved)))"
        ),
        {"name": name, "version": rule.version},
    )
    if not done.rowcount:
        raise Conflict(
            f"{name} has an alert that is open, or whose end is still to be told, or it was changed meanwhile:"
            " switch it off first, and delete it a minute later."
        )
    _audit(conn, "rule.deleted", name, actor, origin, reason, old=rule_values(rule))


def reset_rule(
    conn: Connection, name: str, seen_version: int, actor: str, *, reason: str, origin: str = "dashboard"
) -> Rule:
    """Gives a shipped rule the definition that it came with; raises as `save_rule` does, UsageError for one's own."""
    rule = get_rule(conn, name)
    if name not in SHIPPED:
        raise UsageError(f"{name} did not come with the desk: there is nothing to reset it to.")
    shipped = replace(SHIPPED[name], version=rule.version)
    return save_rule(conn, shipped, seen_version, actor, channels=(), reason=reason, origin=origin)


def is_edited(rule: Rule) -> bool:
    """Whether a shipped rule says something else than the definition that it came with."""
    shipped = SHIPPED.get(rule.name)
    return rule.shipped and shipped is not None and rule_values(rule) != rule_values(shipped)


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    names = [name for name in after if before[name] != after[name]]
    return {name: before[name] for name in names}, {name: after[name] for name in names}


def _faster(conn: Connection, name: str) -> Conflict:
    return Conflict(f"{name} was changed meanwhile, by {get_rule(conn, name).changed_by}: look at it again first.")


def _reason(reason: str, name: str) -> str:
    if not reason.strip():
        raise UsageError(f"Say why {name} is changed: a reason is needed.")
    return reason.strip()


def _audit(
    conn: Connection,
    action: str,
    name: str,
    actor: str,
    origin: str,
    reason: str,
    *,
    old: Mapping[str, Any] | None = None,
    new: Mapping[str, Any] | None = None,
) -> None:
    audit.record(conn, audit.AuditRow(actor, action, "alert_rule", name, origin, old=old, new=new, reason=reason))


_FIELDS = (
    "title", "signal", "subject", "comparison", "threshold", "for_s", "severity", "steps", "repeat_s", "folds_into",
    "runbook", "enabled",
)  # fmt: skip
_INSERT = f"""
INSERT INTO ops.alert_rules (name, {", ".join(_FIELDS)}, changed_by)
VALUES (:name, {", ".join(f":{field}" for field in _FIELDS)}, :actor) ON CONFLICT (name) DO NOTHING
"""  # noqa: S608 - names of this file, here and below
_UPDATE = f"""
UPDATE ops.alert_rules SET {", ".join(f"{field} = :{field}" for field in _FIELDS)}, version = version + 1,
       changed_at = now(), changed_by = :actor
 WHERE name = :name AND version = :seen
"""  # noqa: S608
