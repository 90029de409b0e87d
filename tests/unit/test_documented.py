"""The README is part of the product: every setting, command and job stands in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from checklists.lint import lint
from jobs.cli import app
from jobs.core.jobs import load_jobs
from jobs.core.settings import Settings, variables
from tests.e2e.pictures import BEGIN, END, PICTURES, names, table

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("document", [".env.example", "README.md"])
def test_every_setting_is_documented(document: str) -> None:
    text = (REPOSITORY / document).read_text(encoding="utf-8")
    missing = [name for field in Settings.model_fields.values() for name in variables(field) if name not in text]
    assert missing == []


def test_every_default_in_the_example_is_the_real_one() -> None:
    text = (REPOSITORY / ".env.example").read_text(encoding="utf-8")
    for field in Settings.model_fields.values():
        shown = re.search(rf"^#{variables(field)[0]}=(.*)$", text, re.MULTILINE)
        assert shown, variables(field)[0]
        if isinstance(field.default, int | float) and not isinstance(field.default, bool):
            assert shown.group(1) == str(field.default)


def test_every_job_is_documented() -> None:
    jobs = load_jobs()
    assert {"reconcile-pending", "retry-failed", "cleanup-notifications", "probe-horizon"} <= set(jobs)
    assert [name for name in jobs if f"`{name}`" not in README] == []


def test_every_command_is_documented_and_explains_itself() -> None:
    group = get_command(app)
    for name in group.commands:  # type: ignore[attr-defined]
        command = group.commands[name]  # type: ignore[attr-defined]
        assert command.help, f"{name} has no help"
        assert re.search(rf"`(nexaops )?{name}\b", README), f"{name} is not in the README"
        parts = getattr(command, "commands", {})
        for sub in parts:
            part = parts[sub]  # imported when it is looked up
            assert part.help, f"{name} {sub} has no help"
            assert re.search(rf"`nexaops {name} [^`]*\b{sub}\b", README), f"{name} {sub} is not in the README"


def test_every_page_stands_in_the_readme_as_a_picture_in_both_themes() -> None:
    assert {file.name for file in PICTURES.iterdir()} == set(names()), "run `make pictures`"
    assert f"{BEGIN}{table()}{END}" in README, "run `make pictures`"


def test_the_readmes_checklist_is_one(tmp_path: Path) -> None:
    (tmp_path / "hotfix.yaml").write_text(re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)[0])
    assert lint([tmp_path]).errors == ()
