"""Room on the disk that a folder lies on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil


def usage(folder: Path) -> Any:
    """psutil's figures of the folder's disk, also before the folder is there: it will lie on that of the nearest above."""
    there = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
    return psutil.disk_usage(str(there))
