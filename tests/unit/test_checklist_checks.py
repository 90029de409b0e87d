"""Every line of the source that software can prove, or gather evidence for, has a check that exists and fits it."""

from __future__ import annotations

import pytest

from checklists.checks.registry import find_check, list_checks
from checklists.grammar import Check, Effect
from checklists.lint import lint
from checklists.load import DEFINITIONS, load_templates
from checklists.schema import Item, Template
from tests.unit.test_checklist_definitions import SOURCE

# Of each line, in the source's order: A, a check can tick it; P, software gathers the evidence; M, a person's work.
VERIFIED_BY = {
    "deployment: Code Review": "PPAAAA",
    "deployment: Testing": "AAPPA",
    "deployment: Database": "AAAAAA",
    "deployment: Configuration": "AAAAAAAP",
    "deployment: Stellar Network": "AAAAPA",
    "deployment: Monitoring & Logging": "PPAAAAAAAAAP",
    "deployment: Scaling & Performance": "AAAAAAM",
    "deployment: Documentation": "PAAPPPP",
    "deployment: Pre-Deployment Checks": "AAAPAAP",
    "deployment: Deployment Steps": "AAAAAAAAA",
    "deployment: Post-Deployment Verification": "AAAAAAAAP",
    "deployment: Monitoring (First 24 Hours)": "AAAAAAAA",
    "deployment: First Week": "PPMAPPAA",
    "deployment: First Month": "MAAAPPMM",
    "rollback-critical: Critical Issue (Stop Immediately)": "AAMPA",
    "rollback-data: Data Inconsistency": "AAMPP",
    "rollback-stellar: Stellar API Issues": "AAPM",
    "disaster-recovery: Identify the Problem": "PAAP",
    "disaster-recovery: Immediate Actions": "APAA",
    "disaster-recovery: Recovery Steps": "AAAAA",
    "disaster-recovery: Post-Incident Review": "PMPPM",
    "maintenance-weekly: Weekly": "APAA",
    "maintenance-monthly: Monthly": "AAPP",
    "maintenance-quarterly: Quarterly": "PAAP",
    "compliance: Compliance & Security": "AAAPAPPM",
}
# A heading that its children answer for, and a note that nobody ticks.
WITHOUT = {"Set up alerts for:", "If temporary: job will retry automatically"}
MUST_PASS = {
    "Check database migrations are up to date",
    "Run migrations if any: `npm run migration:run`",
    "Verify network passphrase matches (PUBLIC or TESTNET)",
}


def letters() -> dict[str, str]:
    """How each line is verified, by its text."""
    found: dict[str, str] = {}
    for block in SOURCE.strip().removeprefix("#").split("\n#"):
        title, *lines = block.strip().splitlines()
        for line, letter in zip(lines, VERIFIED_BY[title], strict=True):
            text = line.strip().partition(". ")[2] if line[0].isdigit() else line.strip()
            assert found.setdefault(text, letter) == letter, text
    return found


def items() -> list[tuple[str, Item]]:
    return [
        (f"{template.id}/{phase.id}/{item.id}", item)
        for template in load_templates()
        if isinstance(template, Template)
        for phase in template.phases
        for top in phase.items
        for item in (top, *top.items)
    ]


def parts(check: Check) -> list[str]:
    with_ = find_check(check.use).read(check.with_).model_dump(by_alias=True)
    return [check.use, *(part["use"] for part in with_.get("checks", []))]


def test_the_inventory_counts_what_it_says() -> None:
    all_ = "".join(VERIFIED_BY.values())
    assert [all_.count(letter) for letter in "APM"] == [106, 41, 11]


@pytest.mark.parametrize(("place", "item"), [pytest.param(*each, id=each[0]) for each in items()])
def test_each_line_has_the_check_that_its_kind_needs(place: str, item: Item) -> None:
    letter = letters()[item.text]
    if letter == "M" or item.text in WITHOUT:
        assert item.check is None
        return
    assert item.check is not None
    find_check(item.check.use).read(item.check.with_)
    wanted = Effect.INFORM if letter == "P" else Effect.BLOCK if item.text in MUST_PASS else Effect.TICK
    assert item.check.effect is wanted


def test_every_check_has_a_line() -> None:
    used = {name for _, item in items() if item.check is not None for name in parts(item.check)}
    assert set(list_checks()) - used == {"jobs.next_run"}, "the note about the retry cannot be ticked"


def test_the_shipped_checks_and_actions_are_known_to_lint_and_a_slip_is_named(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    assert lint([DEFINITIONS]).errors == ()
    broken = tmp_path_factory.mktemp("lists") / "maintenance-weekly.yaml"
    text = (DEFINITIONS / "maintenance-weekly.yaml").read_text()
    broken.write_text(
        text.replace("check: jobs.heartbeat", "check: jobs.hartbeat\n        action: {job: create-indices}").replace(
            "{within: 7d}", "{within: seven}"
        )
    )
    said = " ".join(str(fault) for fault in lint([broken]).errors)
    assert "there is no check 'jobs.hartbeat': did you mean jobs.heartbeat" in said
    assert "logs.digest does not accept its parameters: within: 'seven' is not a duration" in said
    assert "there is no job create-indices" in said
