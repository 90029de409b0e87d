"""The host that runs this check: processor, memory, disk space and disk traffic, measured now."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
from pydantic import Field

from checklists.checks.model import CheckContext, CheckParams, CheckResult, Unable, check, judged
from checklists.checks.reach import seconds_left
from jobs.probes.units import size

_HERE = "Of another host it says nothing: run the check there too."


class CpuParams(CheckParams):
    """How busy is too busy."""

    most_percent: float = Field(85, gt=0, le=100, description="of all processors, on average")
    seconds: float = Field(3, ge=0.5, le=30, description="measured for so long")


@check("resources.cpu", title="The processor has room", params=CpuParams)
def cpu(context: CheckContext, params: CpuParams) -> CheckResult:
    """All processors of this host together."""
    used = psutil.cpu_percent(interval=seconds_left(context, params.seconds))
    load = [round(value, 2) for value in psutil.getloadavg()]
    return judged(
        used <= params.most_percent,
        f"The processors are {used:g} % busy ({psutil.cpu_count()} of them; load {load[0]:g}).",
        "Find the process that keeps them busy, or provide more.",
        percent=used,
        load=load,
    )


class MemoryParams(CheckParams):
    """How full is too full."""

    most_percent: float = Field(90, gt=0, le=100, description="of the memory, in use")


@check("resources.memory", title="There is memory left", params=MemoryParams)
def memory(context: CheckContext, params: MemoryParams) -> CheckResult:
    """This host's memory, swap, and the processes that hold most."""
    seen, swap = psutil.virtual_memory(), psutil.swap_memory()
    return judged(
        seen.percent <= params.most_percent,
        f"{seen.percent:g} % of {size(seen.total)} memory is in use, {size(seen.available)} are available.",
        "Find the process that holds it, or provide more.",
        percent=seen.percent,
        swap_percent=swap.percent,
        largest=_largest_processes(),
    )


class DiskParams(CheckParams):
    """How full is too full."""

    least_percent: float = Field(15, gt=0, lt=100, description="free at least")
    least_gib: float = Field(2, ge=0, description="free at least, in GiB")
    paths: list[Path] = Field(default_factory=list, max_length=20, description="these folders beside NEXAOPS_HOME")


@check("resources.disk", title="There is disk space left", params=DiskParams)
def disk(context: CheckContext, params: DiskParams) -> CheckResult:
    """The disks of NEXAOPS_HOME (with the embedded database and the backups) and of other folders."""
    seen: dict[str, psutil._ntuples.sdiskusage] = {}
    for path in (_existing(context.settings.home), *params.paths):
        if not path.exists():
            raise Unable(f"There is no folder {path} on this host.", "Correct the check's `paths`.")
        seen[str(path)] = psutil.disk_usage(str(path))
    full = [
        path
        for path, use in seen.items()
        if 100 - use.percent < params.least_percent or use.free < params.least_gib * 2**30
    ]
    words = {
        path: f"{size(use.free)} of {size(use.total)} free ({100 - use.percent:.0f} %)" for path, use in seen.items()
    }
    worst = full[0] if full else next(iter(words))
    return judged(
        not full, f"{words[worst]} at {worst}.", f"Delete what may go, or provide more room. {_HERE}", disks=words
    )


class DiskIoParams(CheckParams):
    """How busy is too busy."""

    most_mib_per_s: float = Field(200, gt=0, description="read and written together")
    seconds: float = Field(3, ge=0.5, le=30, description="measured for so long")


@check("resources.disk_io", title="The disks keep up", params=DiskIoParams)
def disk_io(context: CheckContext, params: DiskIoParams) -> CheckResult:
    """What all disks of this host read and write."""
    before = psutil.disk_io_counters()
    began = time.monotonic()
    time.sleep(seconds_left(context, params.seconds))
    after = psutil.disk_io_counters()
    if before is None or after is None:
        raise Unable("This host does not count what its disks do.", "Look at the host by its own means.")
    took = time.monotonic() - began
    read, written = (after.read_bytes - before.read_bytes) / took, (after.write_bytes - before.write_bytes) / took
    operations = (after.read_count + after.write_count - before.read_count - before.write_count) / took
    return judged(
        read + written <= params.most_mib_per_s * 2**20,
        f"The disks read {size(read)} and write {size(written)} a second, in {operations:,.0f} operations.",
        "Find what keeps them busy: a missing index, a vacuum, a backup.",
        read_per_s=round(read),
        written_per_s=round(written),
        operations_per_s=round(operations),
    )


def _existing(path: Path) -> Path:
    """The folder, or what it will be made in."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _largest_processes() -> list[str]:
    found = []
    for process in psutil.process_iter(["name", "memory_info"]):
        info = process.info["memory_info"]
        if info is not None:
            found.append((info.rss, f"{process.info['name']}: {size(info.rss)}"))
    return [words for _, words in sorted(found, reverse=True)[:5]]
