"""How a benchmark says what it measures: results as they come, what goes on, and on which machine."""

from __future__ import annotations

import os
import platform
import signal
from collections.abc import Callable, Iterator
from typing import TypeVar

import psutil
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

errors = Console(stderr=True, highlight=False)
T = TypeVar("T")
Tell = Callable[[str], None]
"""Is told what goes on."""


def gather(measured: Callable[[Tell], Iterator[T]], total: int, results: list[T]) -> None:
    """Adds each result as soon as it is there, and shows on a terminal what goes on."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that nothing is left running, nor on the disk
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task("starting PostgreSQL", total=total)
        for result in measured(lambda words: progress.update(task, description=words)):
            results.append(result)
            progress.advance(task)


def machine() -> dict[str, object]:
    """What it was measured on, and how busy that was."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "load": round(psutil.getloadavg()[0], 1),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def machine_words() -> str:
    """The same in one sentence."""
    it = machine()
    return f"{it['cores']} cores, {it['memory_gb']} GB, {it['system']}, Python {it['python']}; load {it['load']}."
