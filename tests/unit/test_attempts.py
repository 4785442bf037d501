"""Attempt records: those of a closed submission are read from one file, which says nothing that the others do not."""

import json

import pytest
import toy

from repsim import attempts
from repsim.submission import Journal, Submission


@pytest.fixture
def one(project) -> Submission:
    """Closed, with two tasks, one of them begun anew."""
    found = toy.submission(project, toy.sweep(project, "job: square\ngrid: {value: [1.0, 2.0]}"))
    for task, restart in ((0, 0), (0, 1), (1, 0)):
        journal = Journal(found, task, restart)
        journal.write(event="begun", host="n1")
        journal.write(event="start", group="g")
    return found


def again(one: Submission) -> Submission:
    return Submission(one.folder)


def reads_files(one: Submission, monkeypatch) -> bool:
    """Whether files of records are opened to tell what is on record."""
    opened, lines = [], attempts._lines
    monkeypatch.setattr(attempts, "_lines", lambda file: opened.append(file) or lines(file))
    again(one).events()
    monkeypatch.undo()
    return bool(opened)


def test_a_closed_submission_is_summed_up_in_one_file(one, monkeypatch):
    before = one.events(), one.comings(), one.events(0), one.events(1)
    assert [len(each) for each in before] == [3, 3, 2, 1]
    assert reads_files(one, monkeypatch) and not (one.folder / "attempts.json").exists()
    one.close({0: "COMPLETED"})
    assert (again(one).events(), again(one).comings(), again(one).events(0), again(one).events(1)) == before
    assert not reads_files(one, monkeypatch)


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"format": 1}', '{"format": 99, "files": [], "records": []}'])
def test_a_summary_that_is_lost_or_damaged_is_made_again(one, monkeypatch, damage):
    one.close()
    whole, summary = one.events(), one.folder / "attempts.json"
    summary.write_text(damage) if damage else summary.unlink()
    assert again(one).events() == whole
    assert not reads_files(one, monkeypatch)


def test_a_task_that_was_thought_dead_and_writes_on_is_heard(one):
    journal = Journal(one, 1, 1)
    journal.write(event="start", group="h")
    one.close()
    assert len(again(one).events()) == 4
    journal.write(event="end", group="h", outcome="done")
    Journal(one, 2, 0).write(event="start", group="i")
    assert [event["group"] for event in again(one).events()][-2:] == ["h", "i"]


def test_who_may_not_write_a_summary_reads_the_files(one, monkeypatch):
    one.close()
    whole = one.events()
    (one.folder / "attempts.json").unlink()
    (one.folder / "attempts.json").mkdir()
    assert again(one).events() == whole
    assert not list(one.folder.glob(".attempts*"))


def test_the_head_of_a_plan_is_read_without_its_tasks(one):
    plan = one.plan
    (one.folder / "plan.json").write_text("not to be read")
    assert again(one).head == {name: value for name, value in plan.items() if name not in ("tasks", "format")}
    assert (again(one).gpus, again(one).on_gpu) == (1, False)


def test_the_head_of_an_earlier_version_is_its_plan(one):
    short = json.loads((one.folder / "outline.json").read_text())
    del short["head"]
    (one.folder / "outline.json").write_text(json.dumps(short))
    assert again(one).head["sweep"] == "toy"
    assert again(one).outline == one.outline
