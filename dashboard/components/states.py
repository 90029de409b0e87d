"""States as a word, a shape and a colour; the colour alone never says anything.

The shapes are drawn by `assets/desk.css`; `glyph()` gives the same shape as a character, for tables and lists.
"""

from __future__ import annotations

from collections.abc import Mapping

from dashboard.components.markup import Html, tag

# tone -> character of the same shape as the drawn one
_GLYPHS: Mapping[str, str] = {
    "ok": "●", "warn": "▲", "critical": "◆", "busy": "◐", "wait": "○", "off": "■", "none": "–",
}  # fmt: skip
TONES: Mapping[str, str] = {
    # runs
    "queued": "wait", "running": "busy", "succeeded": "ok", "failed": "critical", "stopped": "off",
    "timed_out": "critical", "lost": "critical", "missed": "warn", "skipped": "none",
    # transactions
    "PENDING": "wait", "SUCCESS": "ok", "FAILED": "critical", "CANCELLED": "off",
    # verdicts and severities
    "ok": "ok", "warn": "warn", "critical": "critical", "note": "wait",
    # schedules, cases, checklists
    "on": "ok", "off": "off", "paused": "off", "open": "wait", "done": "ok", "na": "none", "abandoned": "off",
    "resolved": "ok", "stale": "none",
    # checks and signatures
    "passed": "ok", "unable": "warn", "gathered": "wait", "signed": "ok", "rejected": "critical", "void": "off",
}  # fmt: skip
_WORDS: Mapping[str, str] = {
    "timed_out": "timed out", "ok": "ok", "warn": "attention", "na": "does not apply", "stale": "no data",
    "PENDING": "pending", "SUCCESS": "success", "FAILED": "failed", "CANCELLED": "cancelled",
}  # fmt: skip


def word(state: str) -> str:
    """The state as a person says it: "timed out", "attention"."""
    return _WORDS.get(state, state)


def tone(state: str) -> str:
    """Which of the seven tones a state has; a state nobody has listed is shown without judgement."""
    return TONES.get(state, "none")


def glyph(state: str) -> str:
    """Shape and word in plain characters: "◆ failed"."""
    return f"{_GLYPHS[tone(state)]} {word(state)}"


def chip(state: str, label: str | None = None) -> Html:
    """Shape, word and colour: "◆ failed". `label` replaces the word."""
    return tag("span", shape(state), tag("span", label or word(state)), class_=f"nx-chip nx-{tone(state)}")


def shape(state: str) -> Html:
    """The shape alone, for beside a text that says the state in words."""
    return tag("i", class_=f"nx-shape nx-{tone(state)}", aria_hidden="true")
