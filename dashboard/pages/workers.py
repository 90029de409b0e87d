"""Who does the work, how do their hosts do, and does anything wait?"""

from __future__ import annotations

from dashboard import queries
from dashboard import queries_jobs as reads
from dashboard.access import guarded_fragment, require
from dashboard.components import fleet_words as words
from dashboard.components.layout import empty, page_head, problems, section, table
from dashboard.components.markup import join, link, show, tag, url
from dashboard.components.states import chip
from dashboard.components.times import age
from dashboard.queries_workers import fleet
from jobs.core.jobs import load_jobs
from jobs.core.permissions import Right
from jobs.probes.attention import span
from jobs.run.fleet import DRAIN_MIN, Fleet, Worker

require(Right.VIEW)
NAMES = tuple(sorted({*load_jobs(), *(schedule.name for schedule in reads.schedules())}))


@guarded_fragment(run_every=5)
def page() -> None:
    found = fleet(NAMES)
    beating = [worker for worker in found.workers if words.beats(worker, found.now)]
    page_head(*words.headline(found, beating))
    problems([item for item in queries.standing().problems if item.link == "/workers"])
    if upgrade := words.versions(beating):
        show(tag("p", chip("running", "rolling upgrade"), f": {upgrade}, nothing has to be done.", class_="nx-note"))
    _workers(found, beating)
    lost = [worker for worker in found.workers if worker not in beating]
    if lost:
        _lost(lost)
    _queue(found)
    _leases(found)


def _workers(found: Fleet, beating: list[Worker]) -> None:
    section("Workers", join("as of ", age(found.now)))
    if not beating:
        empty("Each worker with its host, its load and its clock will stand here.", "Start one: `nexaops worker`.")
        return
    order = sorted(beating, key=lambda worker: (worker.host, worker.started_at))
    table(words.COLUMNS, [words.row(worker, found.now) for worker in order], label="Workers that beat")


def _lost(lost: list[Worker]) -> None:
    section("Lost in the last day", "they went without a word; what they ran was given to others")
    table(
        ("Worker", "Version", "Lived for", "Last beat"),
        [
            (
                join(tag("b", worker.host), tag("div", f"process {worker.pid}", class_="nx-note")),
                worker.version,
                span((worker.beat_at - worker.started_at).total_seconds()),
                age(worker.beat_at),
            )
            for worker in lost
        ],
        label="Workers that were lost",
    )


def _queue(found: Fleet) -> None:
    section("Queue", join(f"ended in the last {DRAIN_MIN} minutes, as of ", age(found.now)))
    rows = [item for item in found.queue if item.queued or item.later or item.ended]
    if not rows:
        empty("Nothing waits, and nothing has ended lately.", "What waits for a worker will stand here, job by job.")
        return
    table(
        ("Job", "Waiting", "Oldest", "Retries to come", "Ended", "A minute"),
        [
            (
                link(item.job, url("runs", job=item.job, state="queued" if item.queued else None)),
                f"{item.queued:,}",
                age(item.oldest, none="–"),
                f"{item.later:,}",
                f"{item.ended:,}",
                f"{item.ended / DRAIN_MIN:.1f}",
            )
            for item in rows
        ],
        numeric=(1, 3, 4, 5),
        label="Queue by job",
    )


def _leases(found: Fleet) -> None:
    section("Leases", join("what one worker does for all, as of ", age(found.now)))
    if not found.leases:
        empty("Who holds which lease will stand here, from the first worker on.")
        return
    table(
        ("Lease", "Held by", "Until", "Term"),
        [words.lease_row(lease, found.now) for lease in found.leases],
        numeric=(3,),
        label="Leases",
    )


page()
