"""Amounts and counts, in tabular figures with their unit beside them."""

from __future__ import annotations

from decimal import Decimal

from dashboard.components.markup import Html, join, tag


def money(amount: Decimal, currency: str, *, least: int = 2) -> Html:
    """An amount with its unit: thousands set apart, no zeros that say nothing beyond `least` digits."""
    return tag("span", amount_text(amount, least=least), tag("span", f" {currency}", class_="nx-unit"), class_="nx-num")


def amount_text(amount: Decimal, *, least: int = 2) -> str:
    """The amount alone: "1,204.50", "0.0000001"; "no number" where a row holds none."""
    if not amount.is_finite():
        return "no number"
    whole, _, fraction = f"{amount:,f}".partition(".")
    digits = fraction.rstrip("0").ljust(least, "0")
    return f"{whole}.{digits}" if digits else whole


def figure(value: object, unit: str = "", *, note: object = "", label: str = "") -> Html:
    """A figure to read at a glance: label, number with unit, and a quiet line under it."""
    number = (
        value if isinstance(value, Html) else join(value, tag("span", f" {unit}", class_="nx-unit") if unit else "")
    )
    return tag(
        "div",
        tag("div", label, class_="nx-label"),
        tag("div", number, class_="nx-figure nx-num"),
        tag("div", note, class_="nx-note"),
        class_="nx-tile",
    )
