"""The team's documents: Markdown in the application's repository, by the headings of its sections."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from checklists.checks.model import CheckContext, CheckParams, CheckResult, Unable, check, failed, gathered, judged
from checklists.checks.reach import fetch, plural, some
from checklists.checks.repository import git, last_tag, tracked
from checklists.load import find_template
from jobs.core.logs import redact

_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*\s*$")
_FENCE = re.compile(r"^\s*(```|~~~)")
_LINK = re.compile(r"https?://[^\s<>()\[\]\"'`]+")
_FILES = Field(default=["*.md", "docs/**/*.md", "doc/**/*.md"], max_length=20, description="patterns of their paths")
_TITLE = Field(max_length=100, description="words that the heading must hold, parted by |")
_FEWEST_WORDS = 20
_MOST_LINKS = 20


@dataclass(frozen=True, slots=True)
class Section:
    """One section with what stands in it."""

    file: Path
    heading: str
    body: str


class SectionParams(CheckParams):
    """Which section."""

    title: str = _TITLE
    files: list[str] = _FILES
    template: str | None = Field(None, max_length=80, description="the id of a checklist that says it as well")


@check("documents.section", title="The document has this section", params=SectionParams)
def section(context: CheckContext, params: SectionParams) -> CheckResult:
    """Where it stands, how long it is, when it changed last, and its beginning, for a person to judge."""
    template = find_template(params.template) if params.template is not None else None
    if context.settings.repository is None and template is not None:
        steps = sum(len(phase.items) for phase in template.phases)
        return gathered(
            f"The checklist “{template.title}” has {plural(steps, 'step')}; other documents are not known "
            "(NEXAOPS_REPOSITORY).",
            checklist=template.id,
        )
    found = _find(context, params.title, params.files)
    if not found:
        return failed(
            f"No document has a section called {params.title.replace('|', ' or ')}.", "Write it, and commit it."
        )
    best = max(found, key=lambda each: len(each.body.split()))
    words = len(best.body.split())
    if words < _FEWEST_WORDS:
        return failed(
            f"“{best.heading}” in {best.file.name} has {plural(words, 'word')}.", "Write what has to be known."
        )
    tag = last_tag(context)
    name = str(best.file.relative_to(context.settings.repository or best.file.parent))
    changed = git(context, "log", "-1", "--format=%cs", "--", name).strip()
    since = bool(tag and git(context, "log", "--oneline", f"{tag}..HEAD", "--", name).strip())
    return gathered(
        f"“{best.heading}” in {name}: {plural(words, 'word')}, the file changed last on {changed or 'an unknown day'}"
        + (f", {'since' if since else 'before'} {tag}." if tag else "."),
        begins=best.body.strip()[:1500],
        also=[f"{each.heading} ({each.file.name})" for each in found if each is not best],
        checklist=template.id if template else None,
    )


class LinkParams(CheckParams):
    """Which links."""

    title: str = _TITLE
    files: list[str] = _FILES


@check("documents.links", title="The links of a section answer", params=LinkParams)
def links(context: CheckContext, params: LinkParams) -> CheckResult:
    """Every address in it is asked once, without following it further."""
    urls = list(dict.fromkeys(
        url.rstrip(".,;:!?") for each in _find(context, params.title, params.files) for url in _LINK.findall(each.body)
    ))  # fmt: skip
    if not urls:
        return failed(
            f"No section called {params.title.replace('|', ' or ')} has an address.", "Write the addresses there."
        )
    if len(urls) > _MOST_LINKS:
        raise Unable(f"{len(urls)} addresses are too many to ask.", f"Keep the section to {_MOST_LINKS}.")
    answers = {}
    for url in urls:
        try:
            answers[redact(url)] = str(fetch(context, url).status)
        except Unable as error:
            answers[redact(url)] = str(error)
    dead = [url for url, answer in answers.items() if not answer.isdigit() or int(answer) >= 400]
    return judged(
        not dead,
        f"{plural(len(dead), 'address')} does not answer: {some(dead)}."
        if dead
        else f"All {len(urls)} addresses answer.",
        "Correct them, or see why what is there is down.",
        answers=answers,
    )


def sections(file: Path) -> Iterator[Section]:
    """The sections of a Markdown file, each with what stands under it and under its own parts; code is no heading."""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    headings: list[tuple[int, int, str]] = []
    fenced = False
    for number, line in enumerate(lines):
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced and (found := _HEADING.match(line)):
            headings.append((number, len(found[1]), found[2]))
    for index, (number, level, heading) in enumerate(headings):
        end = next((later for later, its, _ in headings[index + 1 :] if its <= level), len(lines))
        yield Section(file, heading, "\n".join(lines[number + 1 : end]))


def _find(context: CheckContext, title: str, files: list[str]) -> list[Section]:
    wanted = [part.strip().lower() for part in title.split("|") if part.strip()]
    documents = [file for file in tracked(context, files) if file.is_file()]
    if not documents:
        raise Unable("The repository has no document at these paths.", "Name the documents in the check's `files`.")
    return [
        each for file in documents for each in sections(file) if any(words in each.heading.lower() for words in wanted)
    ]
