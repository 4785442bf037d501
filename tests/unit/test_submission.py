"""The record of a submission: what of it is read without the whole plan, and how often."""

import json

import pytest
import toy

from repsim import records
from repsim.journal import Journal
from repsim.submission import Submission


@pytest.fixture
def one(project) -> Submission:
    return toy.submission(project, toy.sweep(project, "job: square\ngrid: {value: [1.0, 2.0]}"))


def again(one: Submission) -> Submission:
    return Submission(one.folder)


def test_records_are_read_once_of_a_closed_submission_and_each_time_of_an_open_one(one, monkeypatch):
    reads, read = [], records.read
    monkeypatch.setattr(records, "read", lambda *args: reads.append(1) or read(*args))
    Journal(one, 1, 0).write(event="start", group="g")
    assert [len(again(one).events()), len(one.events()), len(one.events(0)), len(reads)] == [1, 1, 0, 3]
    one.close()
    reads.clear()
    assert [len(one.events()), len(one.events(1)), len(one.events(0)), len(one.comings()), len(reads)] == [1, 1, 0, 0, 1]


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
