"""Whoever did something, as the audit trail names them, in words."""

from __future__ import annotations

from collections.abc import Mapping

from dashboard.components.markup import Html, esc, link, tag, url


def who(actor: str | None) -> Html:
    """A person by e-mail, "root at a shell", "the token ci", or a run, which leads to its page."""
    kind, _, name = (actor or "").partition(":")
    if kind == "run" and name.isdigit():
        return link(f"run {name}", url("run", id=name), class_="nx-link nx-inline")
    if kind == "token" and name:
        return esc(f"the token {name}")
    return esc(f"{name} at a shell" if kind == "cli" and name else actor or "nobody named")


def named(actor: str | None, names: Mapping[str, str]) -> Html:
    """A person by their name where `names` knows it by their address; whoever else as `who` says."""
    return tag("span", names[actor], title=actor) if actor is not None and actor in names else who(actor)
