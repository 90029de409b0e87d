"""Runs one program: no shell, a clean environment, a time limit that also ends what it started, output capped.

Of the environment only PATH, HOME and LANG go along, so that no secret of this process does. The program leads a process
group of its own, and the whole group is killed when it ends or its time is up.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from checklists.checks.model import Unable

MOST_KEPT = 64 << 10
_PASSED_ON = ("PATH", "HOME", "LANG")
# Terminal codes (CSI, OSC and the short ones), then every other control character but line breaks and tabs.
_TERMINAL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended; `exit_code` is None if its time was up, `output` the last of what it said.

    `cut`: it said more than that.
    """

    exit_code: int | None
    output: str
    cut: bool
    took_s: float


def run_program(argv: Sequence[str], *, cwd: Path, timeout_s: float, most: int = MOST_KEPT) -> Ended:
    """Runs it to its end; Unable if it cannot be started."""
    began = time.monotonic()
    try:
        process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise Unable(
            f"{argv[0]} cannot be started in {cwd} ({error.strerror}).",
            "Install it on this host, or correct its entry.",
        ) from error
    kept = _Tail(most)
    reader = threading.Thread(target=kept.read, args=(process,), daemon=True)
    reader.start()
    exit_code: int | None = None
    with contextlib.suppress(subprocess.TimeoutExpired):
        exit_code = process.wait(timeout_s)
    # Also after a good end: what it left running must not outlive it, nor hold the pipe open.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    reader.join(5)
    return Ended(exit_code, kept.text(), kept.cut, round(time.monotonic() - began, 1))


def plain(output: str) -> str:
    """Text without terminal codes and control characters; of a line that was overwritten, the last state."""
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in _TERMINAL.sub("", output).split("\n"))
    return "\n".join(_CONTROL.sub("", line) for line in lines)


class _Tail:
    """The last bytes of what a program says."""

    def __init__(self, most: int) -> None:
        self.cut = False
        self._most = most
        self._kept = bytearray()

    def read(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdout is None:
            return
        with process.stdout as stream:
            while more := stream.read1(65_536):  # type: ignore[attr-defined]  # a BufferedReader
                self._kept += more
                if len(self._kept) > self._most:
                    self.cut = True
                    del self._kept[: -self._most]

    def text(self) -> str:
        return bytes(self._kept).decode("utf-8", "replace")
