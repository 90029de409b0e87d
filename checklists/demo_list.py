"""A short list for the demo in which every kind of line stands once: the rehearsal of a release on staging.

It is no shipped definition: nobody starts it but the demo, and its runs carry it along, as every run does.
"""

from __future__ import annotations

from checklists.schema import Template

REHEARSAL = Template.model_validate(
    {
        "schema": 1,
        "id": "demo-rehearsal",
        "title": "Release rehearsal on staging",
        "kind": "deployment",
        "fields": {
            "version": {"title": "Version", "required": True},
            "network": {"title": "Network", "required": True},
            "notes": {"title": "Notes", "type": "markdown"},
        },
        "phases": [
            {
                "id": "before",
                "title": "Before",
                "items": [
                    {
                        "id": "database",
                        "do": "The database answers",
                        "check": {"use": "database.connection", "effect": "block", "ttl": "1h"},
                        "tags": ["infrastructure"],
                        "help": "Nobody ticks this by hand: its check does, when it passes.",
                    },
                    {
                        "id": "schema",
                        "do": "Migrations are up to date",
                        "check": {"use": "database.migrations", "effect": "tick"},
                        "evidence": [{"type": "link", "label": "pull request", "need": "optional"}],
                    },
                    {
                        "id": "screenshot",
                        "do": "Photograph the balances before the release",
                        "evidence": [{"type": "file", "label": "screenshot"}],
                    },
                    {"id": "freeze", "do": "Announce the freeze", "when": {"field": "network", "is": "PUBLIC"}},
                    {
                        "id": "keys",
                        "do": "Compare the signing keys aloud",
                        "verify_by": "second-person",
                    },
                ],
            },
            {
                "id": "steps",
                "title": "Steps",
                "mode": "read-do",
                "after": ["before"],
                "items": [
                    "Deploy to staging",
                    {"id": "watch", "do": "Watch the new version", "wait": "15m", "need": "optional"},
                    {
                        "id": "go",
                        "do": "Continue?",
                        "decide": {"continue": "next", "rollback": {"start": "rollback-critical"}},
                    },
                ],
            },
            {
                "id": "after",
                "title": "After",
                "gate": {"checks": "green"},
                "items": [
                    {"id": "hours", "do": "Read the logs every hour", "repeat": {"every": "1h", "times": 24}},
                    {"id": "days", "do": "Read the digest every day", "repeat": {"every": "1d", "times": 7}},
                ],
            },
        ],
        "signoff": [
            {"role": "devops", "title": "DevOps", "meaning": "executed", "says": "I took it through staging."},
            {
                "role": "release_manager",
                "title": "Release Manager",
                "meaning": "approved",
                "not": ["devops"],
                "after": ["devops"],
                "says": "It may go to production.",
            },
        ],
    }
)
