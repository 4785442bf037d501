"""How far off a forecast was: groups with given seconds, and rows that took other ones."""

import commandline
import pytest
import toy

from repsim import forecast, hindsight, planfile, store
from repsim.code import Code
from repsim.forecast import Done
from repsim.submission import Submission

SPEC = "job: square\ngrid: {batch: [0, 1, 2], value: [1.0, 2.0]}\n"


def took(project, sweep, one, groups, seconds: float) -> None:
    """Rows of these groups that took so many seconds each."""
    for group in groups:
        rows = [
            {"run_id": run.id, "submission": one.name, "group": group.id, "run_seconds": seconds, "device": "cpu", "work": 1.0}
            for run in group.runs
        ]
        store.publish(project.store, "square", "numbers", group.id, rows, store.schema_of(sweep.jobs["square"]))


@pytest.fixture
def sent(project):
    """Three groups of two runs, forecast at 10 s a run by the job's prior: a plan that nobody computed yet."""
    sweep = toy.sweep(project, SPEC)
    stage = toy.plan(project, sweep).stages[1]
    return sweep, stage, planfile.record(project, sweep, stage, "cpu", project.root, Code(None, None, "0"), 60)


def found(project, sweep, known, runs=None):
    ids = {run.id for run in runs or sweep.runs}
    return forecast.outcomes(hindsight.done(project.store, sweep.jobs, ids, known))


def test_the_ratio_is_seconds_taken_over_seconds_forecast(project, sent):
    sweep, stage, one = sent
    took(project, sweep, one, stage.groups[:1], 5.0)
    took(project, sweep, one, stage.groups[1:2], 40.0)
    (each,) = found(project, sweep, [one])
    assert (each.job, each.kind, each.source, each.groups, each.runs) == ("square", "numbers", "prior", 2, 4)
    assert (each.expected, each.took, each.ratio) == (40.0, 90.0, 2.25)
    assert (each.low, each.high, each.over) == (0.5, 4.0, 1)  # 40 s a run are beyond the slow end of 30


def test_of_a_group_that_is_asked_for_in_part_the_forecast_counts_in_part(project, sent):
    sweep, stage, one = sent
    took(project, sweep, one, stage.groups, 5.0)
    (each,) = found(project, sweep, [one], [stage.groups[0].runs[0]])
    assert (each.runs, each.expected, each.took) == (1, 10.0, 5.0)


def test_rows_of_a_submission_that_is_gone_were_forecast_by_nobody(project, sent):
    sweep, stage, one = sent
    took(project, sweep, one, stage.groups, 5.0)
    assert found(project, sweep, []) == []
    assert forecast.in_all([]) is None


def test_a_plan_of_an_earlier_version_has_a_forecast_but_no_source(project, sent):
    sweep, stage, one = sent
    took(project, sweep, one, stage.groups, 5.0)
    for task in one.plan["tasks"]:
        for group in task:
            del group["worst"], group["source"]
    (each,) = found(project, sweep, [one])
    assert (each.source, each.ratio) == ("unknown", 0.5)


def test_the_middle_of_ratios_leaves_a_tenth_out_on_either_side():
    done = [Done("j", "k", "measured", 1, 10.0, 20.0, 10.0 * ratio / 10) for ratio in range(0, 21)]
    (each,) = forecast.outcomes(done)
    assert (each.low, each.high, each.over) == (0.2, 1.8, 0)
    assert forecast.in_all([each]) == pytest.approx(1.0)


def test_the_command_tells_it(project, sent, monkeypatch):
    sweep, stage, one = sent
    monkeypatch.chdir(project.root)
    silent = commandline.call("sweep", "cost", "toy")
    assert silent.code == 0 and "no forecast to compare with" in silent.out
    took(project, sweep, one, stage.groups, 12.0)
    text, shown = commandline.call("sweep", "cost", "toy"), commandline.call("sweep", "cost", "toy", "--json").json
    assert "toy: 0.02 task-hours used\n  the runs took 1.20 times what was forecast\n" in text.out
    assert "square numbers: 1.20 times 0.02 h, from a guess (1.20 to 1.20 in the middle 80 % of 3 groups, 6 runs)" in text.out
    assert (shown["ratio"], shown["hours_used"], shown["kinds"][0]["groups"]) == (1.2, 0.02, 3)


def test_of_hours_whose_submission_is_gone_the_command_and_the_report_say_that_no_forecast_is_known(project, sent, monkeypatch):
    sweep, stage, one = sent
    monkeypatch.chdir(project.root)
    took(project, sweep, one, stage.groups[:1], 60.0)
    took(project, sweep, Submission(one.folder.with_name("gone")), stage.groups[1:], 600.0)
    text, shown = commandline.call("sweep", "cost", "toy"), commandline.call("sweep", "cost", "toy", "--json").json
    said = (
        "a forecast is known of 0.03 of the 0.70 task-hours, which took 6.00 times what was forecast; the submissions of the other"
    )
    assert said in text.out
    assert (shown["ratio"], shown["hours_used"], shown["hours_with_forecast"]) == (6.0, 0.7, 0.0333)
    assert commandline.call("results", "report", "toy").code == 0
    assert said in (project.results / "reports" / "toy.html").read_text()


def test_status_tells_it_in_a_line_once_all_is_over(project, sent, monkeypatch):
    sweep, stage, one = sent
    monkeypatch.chdir(project.root)
    one.mark_sent(host="here", pid=0)
    one.close()
    took(project, sweep, one, stage.groups[:2], 660.0)
    assert commandline.call("sweep", "status", "toy", "--json").json["forecast"] is None, "a group is left"
    took(project, sweep, one, stage.groups[2:], 660.0)
    text, shown = commandline.call("sweep", "status", "toy"), commandline.call("sweep", "status", "toy", "--json").json
    assert "  forecast  took 1.10 task-hours, forecast 0.02 (66.00×)\n" in text.out
    assert shown["forecast"] == {"hours_expected": 0.0167, "hours": 1.1, "ratio": 66.0}
    part = commandline.call("sweep", "status", "toy", "batch=0", "--json").json["forecast"]
    assert part == {"hours_expected": 0.0056, "hours": 0.3667, "ratio": 66.0}
