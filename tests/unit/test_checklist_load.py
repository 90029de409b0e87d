"""A definition that is wrong names its line and the mend, and never vanishes from the list."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checklists.lint import lint
from checklists.load import (
    DEFINITIONS,
    LARGEST_FILE,
    BrokenDefinition,
    BrokenTemplate,
    Fault,
    definition_files,
    definition_folders,
    find_template,
    load_templates,
    read_definition,
)
from checklists.schema import Template
from jobs.core.errors import NotFound, UsageError

GOOD = """\
schema: 1
id: release
title: A release
kind: deployment
fields:
  version: {title: Version, required: true}
phases:
  - id: steps
    title: Steps
    mode: read-do
    role: devops
    items:
      - Build it
      - {id: look, do: Look at it}
"""


def write(folder: Path, text: str, name: str = "release.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def template_of(folder: Path, text: str) -> Template:
    return read_definition(write(folder, text)).template


def faults(folder: Path, text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(BrokenDefinition) as broken:
        read_definition(write(folder, text))
    return [(fault.line, fault.what, fault.mend) for fault in broken.value.faults]


def only_fault(folder: Path, text: str) -> tuple[int, str, str]:
    (fault,) = faults(folder, text)
    return fault


def test_a_plain_sentence_is_an_item_and_its_words_are_its_id(tmp_path: Path) -> None:
    build, look = template_of(tmp_path, GOOD).phases[0].items
    assert (build.id, build.do, build.need) == ("build-it", "Build it", "required")
    assert (look.id, look.do) == ("look", "Look at it")


@pytest.mark.parametrize(
    ("old", "new", "line", "what", "mend"),
    [
        ("mode: read-do", "mod: read-do", 10, "`mod` is not a key here", "did you mean `mode`?"),
        ("mode: read-do", "mode: read-doo", 10, "'read-doo' is not accepted for `mode`", "did you mean `read-do`?"),
        ("role: devops", "role: dev_ops", 11, "'dev_ops' is not accepted for `role`", "did you mean `devops`?"),
        ("title: A release\n", "", 1, "`title` is missing", "add `title:`"),
        ("id: look", "id: build-it", 14, "a second item here has the id 'build-it'", "give this one an `id` of its own"),
        ("id: look", "id: Look!", 14, "'Look!' is not an id", "use lower-case letters, digits, - and _"),
        ("title: Steps", "title: Steps\n    title: Stops", 10, "`title` is here twice, first on line 9", "keep one of them"),
        ("title: Steps", "after: [plan]\n    title: Steps", 9, "there is no phase 'plan' to come after", "known here: steps"),
        ("title: Steps", "after: [steps]\n    title: Steps", 9, "'steps' cannot come after 'steps', which is not above it", "change their order"),
        ("required: true", "required: yes", 6, "'yes' is neither true nor false", "write one of the two"),
        ("required: true", "requried: true", 6, "`requried` is not a key here", "did you mean `required`?"),
        ("do: Look at it", "doo: Look at it", 14, "`doo` is not a key here", "did you mean `do`?"),
        ("do: Look at it", "do: Look, note: at it", 14, "an item needs one of `do` (to tick) and `note` (to know)", "keep or add one"),
        ("do: Look at it", "note: Look, need: optional", 14, "a note is not ticked", "take out `need`"),
        ("do: Look at it", "do: Look, repeat: {every: hourly, times: 3}", 14, "'hourly' is not a duration", "write a number and m, h, d, w or y, such as 15m, 1h or 90d"),
        ("do: Look at it", "do: Look, check: heartbeat", 14, "'heartbeat' is not the name of a check", "write family.name, such as database.indexes"),
        ("do: Look at it", "do: Look, action: {job: backup, flag: x, to: true}", 14, "an action does one thing", "keep one of `job`, `flag`, `pause`, `resume` and `notice`"),
        ("do: Look at it", "do: Look, decide: {go: next}", 14, "a decision has two ways to go", "add one"),
        ("do: Look at it", "do: Look, wait: soon", 14, "'soon' is not a duration", "write a number and m, h, d, w or y, such as 15m, 1h or 90d"),
        ("do: Look at it", "do: Look, when: {field: net, is: PUBLIC}", 14, "there is no field 'net' to look at", "known here: version"),
        ("kind: deployment", "kind: deployment\nschedule: {rrule: FREQ=WEEKY}", 5, "'FREQ=WEEKY' is no recurrence rule (invalid 'FREQ': WEEKY)", "see FREQ=WEEKLY;BYDAY=MO;BYHOUR=9"),
        ("kind: deployment", "kind: deployment\nsignoff: [{role: devops, meaning: executed, not: [qa_lead]}]", 5, "devops names qa_lead, who does not sign", "add a line for it"),
        ("- Build it", "- Build: it", 13, "`Build` is not a key here", "known here: id, do, note, help, snippet, role, need, na, check, action, evidence, verify_by, wait, repeat, decide, when, assignee, due, tags, items, rollup"),
        ("- Build it", "- Build it like so: quickly", 13, "`Build it like so` is not a key here", "put the whole sentence in quotes, it holds ': '"),
        ("- Build it", "- &again Build it", 13, "anchors and aliases are not read here", "write the text out"),
        ("- Build it", '- "Build \\e[31mit"', 13, "the text holds the character U+001B, which shows as something else", "take it out"),
        ("- Build it", '- "Build \\u202Eti"', 13, "the text holds the character U+202E, which shows as something else", "take it out"),
        ("items:\n      - Build it\n      - {id: look, do: Look at it}", "items: []", 12, "there is nothing here", "add at least one"),
        ("schema: 1", "schema: 2", 1, "`schema`: input should be less than or equal to 1", "check it against a shipped definition"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line_and_its_mend(
    tmp_path: Path, old: str, new: str, line: int, what: str, mend: str
) -> None:
    assert old in GOOD
    assert (line, what, mend) in faults(tmp_path, GOOD.replace(old, new))


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("kind: deployment", "kind: party").replace("mode: read-do", "mod: read-do")
    assert [line for line, _, _ in faults(tmp_path, text)] == [4, 10]


def test_what_is_not_yaml_is_named_with_its_line(tmp_path: Path) -> None:
    line, _, mend = only_fault(tmp_path, GOOD.replace("- Build it", "- `npm run build`"))
    assert line == 13
    assert "in quotes" in mend


@pytest.mark.parametrize("text", ["", "# only a comment\n"])
def test_an_empty_file_says_how_to_begin(tmp_path: Path, text: str) -> None:
    assert only_fault(tmp_path, text) == (1, "the file is empty", "start with `schema: 1`, `id:` and `title:`")


@pytest.mark.parametrize("text", ["just words", "- a\n- list", "1", "{a: b}: c"])
def test_what_is_no_mapping_is_broken_and_nothing_worse(tmp_path: Path, text: str) -> None:
    assert faults(tmp_path, text)


def test_values_stay_the_text_that_was_written(tmp_path: Path) -> None:
    text = GOOD.replace("title: A release", "title: 1.10").replace("- Build it", "- no").replace("id: look", "id: on")
    template = template_of(tmp_path, text)
    assert template.title == "1.10"
    assert [item.id for item in template.phases[0].items] == ["no", "on"]
    assert template.phases[0].items[0].do == "no"


def test_a_file_that_is_too_large_or_too_deep_is_refused_before_it_is_understood(tmp_path: Path) -> None:
    assert only_fault(tmp_path, GOOD + "#" * LARGEST_FILE)[1] == "the file is larger than 256 KiB"
    assert only_fault(tmp_path, "[" * 100_000)[1] == "it is nested too deep"


def test_a_file_that_is_not_utf8_names_the_line_of_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "release.yaml"
    path.write_bytes(b"schema: 1\ntitle: caf\xe9\n")
    with pytest.raises(BrokenDefinition) as broken:
        read_definition(path)
    assert (broken.value.faults[0].line, broken.value.faults[0].what) == (2, "a byte here is not UTF-8")


def test_a_broken_file_stays_in_the_list_beside_the_good_ones(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    write(tmp_path, GOOD.replace("mode:", "mod:"), "older.yaml")
    write(tmp_path, "not: [a, list", "worse.yml")
    older, release, worse = load_templates(tmp_path)
    assert isinstance(release, Template)
    assert isinstance(older, BrokenTemplate)
    assert isinstance(worse, BrokenTemplate)
    assert (older.id, worse.id) == ("older", "worse")
    assert str(older.faults[0]) == f"{tmp_path}/older.yaml:10: `mod` is not a key here — did you mean `mode`?"


def test_of_two_files_with_one_id_the_second_is_broken(tmp_path: Path) -> None:
    write(tmp_path, GOOD, "a.yaml")
    write(tmp_path, GOOD, "b.yaml")
    first, second = load_templates(tmp_path)
    assert isinstance(first, Template)
    assert isinstance(second, BrokenTemplate)
    assert (second.id, second.faults[0].line) == ("b", 2)
    assert second.faults[0].what == f"the id 'release' is already that of {tmp_path}/a.yaml"


def test_a_definition_is_found_by_its_id_or_the_nearest_one_is_named(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    assert find_template("release", tmp_path).title == "A release"
    with pytest.raises(NotFound, match="did you mean release"):
        find_template("relase", tmp_path)
    with pytest.raises(NotFound, match="there are release"):
        find_template("holiday", tmp_path)


def test_a_broken_definition_says_why_when_it_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path, GOOD.replace("mode:", "mod:"))
    with pytest.raises(NotFound, match=r"release is broken: .*release\.yaml:10: `mod` is not a key here"):
        find_template("release", tmp_path)


def test_the_version_is_that_of_the_meaning_not_of_the_spelling(tmp_path: Path) -> None:
    version = template_of(tmp_path, GOOD).version
    same = GOOD.replace("- Build it", "# a comment\n      - {do: 'Build it', id: build-it, need: required}")
    assert template_of(tmp_path, same).version == version
    assert template_of(tmp_path, GOOD.replace("Look at", "Look into")).version != version
    assert len(version) == 64


def test_a_definition_survives_being_kept_as_json(tmp_path: Path) -> None:
    text = GOOD.replace("{id: look, do: Look at it}", "{do: Look at it, repeat: {every: 24h, times: 3}}")
    template = template_of(tmp_path, text)
    again = Template.model_validate(template.canonical())
    assert again == template
    assert again.version == template.version


def test_lint_warns_of_a_list_without_a_pause_and_of_items_that_are_nobodys(tmp_path: Path) -> None:
    many = "".join(f"      - Do thing {number}\n" for number in range(8))
    path = write(tmp_path, GOOD.replace("    role: devops\n", "") + many)
    report = lint([path])
    assert report.errors == ()
    assert report.warnings[0].what == "“Steps” has 10 items without a pause"
    assert report.warnings[0].line == 8
    assert [(fault.line, fault.what) for fault in report.warnings[1:3]] == [
        (12, "“Build it” is nobody's"),
        (13, "“Look at it” is nobody's"),
    ]


def test_lint_warns_of_an_item_for_somebody_who_may_not_tick(tmp_path: Path) -> None:
    report = lint([write(tmp_path, GOOD.replace("role: devops", "role: viewer"))])
    assert report.warnings[0].what == "“Build it” is for viewer, who may not tick"


@pytest.mark.parametrize(
    ("signoff", "words"),
    [
        ("[{role: devops, meaning: executed}]", "waits for qa_lead, who does not sign"),
        (
            "[{role: devops, meaning: executed}, {role: qa_lead, meaning: verified, after: [devops]}]",
            "waits for qa_lead, who signs after devops, who signs what stands behind it",
        ),
    ],
)
def test_lint_warns_of_a_gate_that_no_signature_can_open(tmp_path: Path, signoff: str, words: str) -> None:
    path = write(
        tmp_path,
        "{schema: 1, id: release, title: R, kind: deployment, phases: [{id: a, role: devops, items: [Do it]},"
        f" {{id: b, role: devops, gate: {{signed: [qa_lead]}}, items: [Ship it]}}], signoff: {signoff}}}",
    )
    assert [fault.what for fault in lint([path]).warnings] == [f"the gate of “B” {words}"]


def test_lint_says_that_a_path_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no file or folder .*nowhere"):
        lint([tmp_path / "nowhere"])


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_hand_does_to_a_file_it_is_a_definition_or_has_lines_that_are_in_it(
    tmp_path: Path, data: st.DataObject
) -> None:
    raw = bytearray(GOOD.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(raw)))
        end = data.draw(st.integers(start, min(start + 12, len(raw))))
        raw[start:end] = data.draw(
            st.binary(max_size=6) | st.sampled_from([b": ", b"\n", b"- ", b"{", b"&a", b"*a", b"!!"])
        )
    path = tmp_path / "release.yaml"
    path.write_bytes(bytes(raw))
    found: tuple[Fault, ...] = ()
    try:
        read_definition(path)
    except BrokenDefinition as broken:
        found = broken.faults
    assert all(1 <= fault.line <= raw.count(b"\n") + 2 and fault.mend for fault in found)


EVERYTHING = """\
schema: 1
id: everything
title: Everything that a definition can say
kind: deployment
review: {last: 2026-11-01, every: 90d, owner: devops}
retain: 7y
fields:
  version: {type: text, required: true}
  network: {type: text}
contacts: [{role: On-Call Engineer, verify: 90d}]
phases:
  - id: database
    role: devops
    items:
      - Review the migration plan
      - id: indexes
        do: Verify indexes exist or create them
        check: {use: database.indexes, with: {table: transactions}, effect: block, ttl: 12h}
        action: {job: create-indexes, confirm: true}
      - id: real-transaction
        do: Test with a real transaction
        evidence: [{type: text, label: transaction hash, pattern: '^[0-9a-f]{64}$'}]
        verify_by: second-person
        when: {field: network, is: PUBLIC}
        assignee: tomas@nexafx.com
        due: 4h
        tags: [money]
  - id: steps
    mode: read-do
    after: [database]
    gate: {signed: [qa_lead], checks: green}
    items:
      - {id: soak, do: Watch the new version, wait: 15m}
      - {id: logs, do: Check application logs, repeat: {every: 1h, times: 24}, check: logs.errors}
      - {id: go, do: Continue?, decide: {continue: next, rollback: {start: rollback-critical}}}
signoff:
  - {role: qa_lead, meaning: verified}
  - {role: project_manager, meaning: approved, not: [qa_lead], after: [qa_lead]}
schedule: {rrule: "FREQ=WEEKLY;BYDAY=MO;BYHOUR=9", zone: Europe/Berlin, due: 24h, escalate: [{after: 24h, to: devops}]}
"""


def test_a_definition_that_says_everything_is_read_and_its_canonical_form_reads_back_as_the_same(
    tmp_path: Path,
) -> None:
    template = template_of(tmp_path, EVERYTHING)
    assert Template.model_validate(template.canonical()) == template
    assert Template.model_validate(template.canonical()).version == template.version
    assert [line.title for line in template.signoff] == ["QA Lead", "Project Manager"]
    assert [phase.title for phase in template.phases] == ["Database", "Steps"]
    go = template.phases[1].items[2]
    assert [(choice.id, choice.start) for choice in go.decide] == [
        ("continue", None),
        ("rollback", "rollback-critical"),
    ]


def test_a_companys_own_folders_stand_behind_the_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each broken thing takes itself away and nothing else: a file, an id that is shipped, a folder that is not there."""
    ours = tmp_path / "ours"
    ours.mkdir()
    write(ours, GOOD)
    write(ours, GOOD.replace("mode:", "mod:"), "worse.yaml")
    write(ours, GOOD.replace("id: release", "id: deployment"), "taken.yaml")
    monkeypatch.setenv("NEXAOPS_CHECKLISTS_PATH", f"{ours}:{tmp_path / 'gone'}")
    definition_folders.cache_clear()
    try:
        found = load_templates()
        assert find_template("release").title == "A release"
        assert find_template("deployment").title == "Scheduled Jobs Module - Deployment"
    finally:
        definition_folders.cache_clear()
    broken = {each.id: str(each.faults[0]) for each in found if isinstance(each, BrokenTemplate)}
    assert set(broken) == {"worse", "taken", "gone"}
    assert "the id 'deployment' is already that of" in broken["taken"]
    assert "it cannot be read (No such file or directory)" in broken["gone"]
    assert len([each for each in found if isinstance(each, Template)]) == len(definition_files(DEFINITIONS)) + 1


def test_a_notice_names_lines_of_the_summary_that_there_are(tmp_path: Path) -> None:
    button = "action: {notice: {title: 'Version {verson}', body: 'It comes.'}}"
    path = write(tmp_path, GOOD.replace("- Build it", f"- {{id: build-it, do: Build it, {button}}}"))
    with pytest.raises(BrokenDefinition, match="there is no field 'verson' for the notice to name"):
        read_definition(path)
