"""Commands that every floor brings along: found by an entry point group, imported when they are asked for.

So the command line needs no import upwards, and nobody who switches a flag waits for Stellar, Streamlit or the benchmarks.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group


class _Commands(dict[str, Any]):
    """Every floor's commands by the names of their entry points; one is imported when it is looked up."""

    def __init__(self, group: str) -> None:
        super().__init__({entry.name: entry for entry in entry_points(group=group)})

    def __getitem__(self, name: str) -> Any:
        loaded = super().__getitem__(name).load()
        holder = typer.Typer()
        if isinstance(loaded, typer.Typer):
            holder.add_typer(loaded, name=name)
        else:
            holder.command(name)(loaded)
        return get_group(holder).commands[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default  # noqa: SIM401 - dict.get asks no __getitem__


def gathered(group: str) -> type[TyperGroup]:
    """A group of the commands, or groups of commands, that stand under this name among the entry points."""

    class Gathered(TyperGroup):
        def __init__(self, **attributes: Any) -> None:
            super().__init__(**{**attributes, "commands": _Commands(group)})

        def list_commands(self, ctx: Any) -> list[str]:
            return sorted(self.commands)

    return Gathered
