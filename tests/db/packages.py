"""Packages beside ours, as an installer leaves them: modules, and a folder that says what they bring."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def install(folder: Path, name: str, modules: Mapping[str, str], jobs: Mapping[str, str]) -> None:
    """Writes a package into a folder that is to stand on the module path; `jobs` are its entry points."""
    for file, source in modules.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(source, encoding="utf-8")
    known = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    known.mkdir()
    (known / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    entries = "".join(f"{entry} = {module}\n" for entry, module in jobs.items())
    (known / "entry_points.txt").write_text(f"[nexaops.jobs]\n{entries}")
