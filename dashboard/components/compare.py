"""Expected beside found: what a case or a proof says about a payment, read with care.

Details are written by jobs of any age, so nothing in them is taken for granted: what has the known shape becomes rows
that can be compared, and everything else is shown as its text, without secrets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation

from dashboard.components.layout import table
from dashboard.components.markup import Html, tag
from dashboard.components.money_words import short_address
from dashboard.components.numbers import amount_text
from jobs.core.logs import redact, redact_value

_MOST_TEXT = 600
_MOST_PAYMENTS = 20
_LONG = 20
"""Characters from which a value without spaces is an address or a hash, and is cut in a list."""
_TOLD = frozenset({"expected", "found", "sentence", "hash", "outer_hash", "server", "request", "ledger", "closed_at"})


@dataclass(frozen=True, slots=True)
class Pair:
    """One thing to compare; None: this side says nothing about it. `differs` only where both sides speak."""

    label: str
    expected: str | None
    found: str | None
    differs: bool = False
    by: str = ""
    """How much an amount differs: "0.50 more"."""


def pairs(details: Mapping[str, object]) -> tuple[Pair, ...]:
    """What was expected and what was found, thing by thing; empty where the details hold neither."""
    expected, found = details.get("expected"), details.get("found")
    terms = expected if isinstance(expected, Mapping) else {}
    paid = _payments(found)
    main = _main(paid or [], terms)
    memo_found = _memo(found) if isinstance(found, Mapping) else None
    rows = [
        _amounts(terms.get("amount"), main.get("received") or main.get("offered")),
        _pair("Asset", _word(terms.get("asset")), _word(main.get("asset"))),
        _pair("Receiver", _word(terms.get("destination")), _word(main.get("destination"))),
        _pair("Memo", _memo(terms), memo_found, free=terms.get("memo") is None),
    ]
    if terms is not expected and expected is not None:
        rows.append(Pair("Expected", _text(expected), None))
    if paid is None and found is not None:
        rows.append(Pair("Answer", None, _text(found)))
    label = "Other payment" if main else "Payment"
    rows += [Pair(label, None, _payment(one)) for one in paid or () if one is not main]
    if paid == []:
        rows.append(Pair("Payments", None, "none in this transaction"))
    return tuple(row for row in rows if row.expected is not None or row.found is not None)


def document(value: object) -> Mapping[str, object]:
    """Stored details as what they should be; whatever else they are becomes what was found."""
    return value if isinstance(value, Mapping) else {"found": value}


def telling(rows: Sequence[Pair]) -> tuple[Pair, ...]:
    """The rows that a list shows: what differs; where nothing is known to, what was found, else what was expected."""
    return (
        tuple(row for row in rows if row.differs)
        or tuple(row for row in rows if row.found is not None)
        or tuple(row for row in rows if row.expected is not None)
    )


def other_details(details: Mapping[str, object]) -> str:
    """What details say beyond what has its own place on a page, as text; empty for nothing."""
    left = {key: value for key, value in details.items() if key not in _TOLD and value is not None}
    return _text(redact_value("details", left)) if left else ""


def detail(details: Mapping[str, object], key: str) -> str | None:
    """One plain value of details as text; None where it is missing or no plain value."""
    value = details.get(key)
    return _text(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) and value != "" else None


def comparison(rows: Sequence[Pair], label: str, *, whole: bool = True) -> None:
    """Draws the pairs side by side; what does not differ is cut in the middle unless `whole`."""
    table(("What", "Expected", "Found"), [_compared(row, whole or row.differs) for row in rows], label=label)


def column(rows: Sequence[Pair], which: str) -> Html:
    """One column, "expected" or "found", of several pairs for a cell of a list, each with its label."""
    return tag(
        "div",
        *(
            tag(
                "div",
                tag("span", f"{row.label} ", class_="nx-quiet"),
                _side(row.expected if which == "expected" else row.found, differs=row.differs, whole=False),
                tag("span", f" {row.by}", class_="nx-quiet") if row.by and which == "found" else "",
            )
            for row in rows
        ),
        class_="nx-sides",
    )


def _compared(row: Pair, whole: bool) -> tuple[object, ...]:
    by = tag("div", row.by, class_="nx-note") if row.by else ""
    found = tag("div", _side(row.found, differs=row.differs, whole=whole), by)
    return row.label, _side(row.expected, differs=row.differs, whole=whole), found


def _side(value: str | None, *, differs: bool, whole: bool) -> Html:
    """One side of a pair; an address is cut in the middle unless `whole`."""
    if value is None:
        return tag("span", "–", class_="nx-quiet")
    code = len(value) > _LONG and " " not in value.partition(" (")[0]
    shown = value if whole or not code else _cut(value)
    classes = [name for name, on in (("nx-mono", code), ("nx-differs", differs)) if on]
    return tag("span", shown, class_=" ".join(classes) or None, title=value if shown != value else None)


def _main(paid: Sequence[Mapping[str, object]], terms: Mapping[str, object]) -> Mapping[str, object]:
    """The payment to compare with: the only one, or the only one to the expected receiver."""
    mine = [one for one in paid if one.get("destination") == terms.get("destination")] if len(paid) > 1 else paid
    return mine[0] if len(mine) == 1 else {}


def _pair(label: str, expected: str | None, found: str | None, *, free: bool = False) -> Pair:
    return Pair(label, expected, found, not free and None not in (expected, found) and expected != found)


def _amounts(expected: object, found: object) -> Pair:
    pair = _pair("Amount", _amount(expected), _amount(found))
    if not pair.differs:
        return pair
    try:
        more = Decimal(str(found)) - Decimal(str(expected))
    except InvalidOperation:
        return pair
    return replace(pair, by=f"{amount_text(abs(more))} {'more' if more > 0 else 'less'}") if more.is_finite() else pair


def _payments(found: object) -> list[Mapping[str, object]] | None:
    """The payments that were found; None where the details do not have that shape."""
    operations = found.get("operations") if isinstance(found, Mapping) else None
    if not isinstance(operations, list) or not all(isinstance(one, Mapping) for one in operations):
        return None
    return operations[:_MOST_PAYMENTS]


def _payment(one: Mapping[str, object]) -> str:
    amount = _amount(one.get("received") or one.get("offered")) or "nothing"
    asset = (_word(one.get("asset")) or "").partition(":")[0]
    receiver = _word(one.get("destination"))
    return f"{amount} {asset} to {short_address(receiver) if receiver else 'nobody'}"


def _memo(terms: Mapping[str, object]) -> str | None:
    value, kind = terms.get("memo"), terms.get("memo_type")
    if value in (None, ""):
        return None if "memo" not in terms else "none" if kind == "none" else "any"
    said = _text(value)
    return f"{said} ({_text(kind)})" if kind else said


def _amount(value: object) -> str | None:
    if value is None:
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return _text(value)
    return amount_text(number) if number.is_finite() else _text(value)


def _word(value: object) -> str | None:
    return None if value in (None, "") else _text(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False, default=str, sort_keys=True)
    said = redact(value)
    return said if len(said) <= _MOST_TEXT else f"{said[: _MOST_TEXT - 1]}…"


def _cut(value: str) -> str:
    """Addresses and hashes by both ends; of an asset the issuer, of a receiver with an id the account."""
    head, colon, tail = value.partition(":")
    if colon and len(head) <= 12:
        return f"{head}:{short_address(tail)}"
    account, bracket, rest = value.partition(" (")
    return f"{short_address(account)}{bracket}{rest}"
