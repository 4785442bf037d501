"""A budget: what a sweep has cost, what is under way and what would be sent, against the hours that it may cost."""

import math
import time

import commandline
import pytest
import toy
from commandline import call

from repsim import budget, plan, planfile, store
from repsim.budget import Budget, Spent
from repsim.errors import InputError, UserError
from repsim.journal import Journal
from repsim.measured import Rate
from repsim.plan import Limits
from repsim.profile import Profile
from repsim.state import Standing, State

NUMBERS = "job: square\ngrid: {value: [1.0, 2.0, 3.0, 4.0]}\n"


def hour_long(project, gpus: int = 0) -> plan.Plan:
    """Four runs of 895 s in one task, which takes an hour with its start: 4 · 895 + 20 s."""
    sweep = toy.sweep(project, NUMBERS)
    states = {run.id: Standing(State.NEW) for run in sweep.all_runs}
    weigh = lambda runs: [(1.0, Rate(895.0, 1795.0, 20, "measured"))] * len(runs)  # noqa: E731
    return plan.make(sweep, states, Limits(7200.0, gpus_per_task=gpus), weigh)


def test_a_plan_that_just_fits_is_sent_and_one_that_does_not_is_refused_in_hours(project):
    made = hour_long(project)
    paid = Spent(used=1.5, wasted=0.25, under_way=0.25)
    assert made.hours() == pytest.approx(1.0) and paid.hours == 2.0
    budget.refuse(Budget(3.0, "x"), paid, made, "task-hours")
    with pytest.raises(UserError) as refused:
        budget.refuse(Budget(2.99, "mine.yaml: budget"), paid, made, "task-hours")
    for words in ("3.00 task-hours", "budget of 2.99", "1.50 used", "0.25 lost", "0.25 under way", "1.00 to be sent", "2.00"):
        assert words in str(refused.value), words
    assert "mine.yaml: budget" in str(refused.value) and "--budget HOURS" in str(refused.value)


def test_gpus_of_a_task_count_each(project):
    made = hour_long(project, gpus=4)
    with pytest.raises(UserError, match=r"4\.00 GPU-hours are expected, more than the budget of 3: 4\.00 to be sent"):
        budget.refuse(Budget(3.0, "x"), Spent(0, 0, 0), made, "GPU-hours")


def test_the_option_counts_before_the_sweep_and_the_sweep_before_the_profile(project):
    said, silent = toy.sweep(project, NUMBERS + "budget: 7"), toy.sweep(project, NUMBERS, "silent")
    mine = Profile(budget=5.0)
    assert budget.of(said, mine, "gpu", 9.0) == Budget(9.0, "--budget")
    assert budget.of(said, mine, "gpu") == Budget(7.0, f"{said.path}: budget")
    assert budget.of(silent, mine, "gpu") == Budget(5.0, "gpu.yaml: budget")
    assert budget.of(silent, Profile(), "gpu") is None


def test_a_budget_is_no_part_of_any_run(project):
    assert [r.id for r in toy.sweep(project, NUMBERS).runs] == [r.id for r in toy.sweep(project, NUMBERS + "budget: 0.5").runs]


@pytest.mark.parametrize("hours", [0.0, -1.0, math.nan, math.inf])
def test_hours_that_are_none_are_no_budget(hours):
    with pytest.raises(InputError, match="no budget"):
        budget.checked(hours)


@pytest.mark.parametrize("text", ["0", "-3", ".nan", ".inf", "true", "lots", "[1]"])
def test_a_budget_in_a_sweep_is_a_number_above_zero(project, text):
    with pytest.raises(UserError, match="budget"):
        toy.sweep(project, NUMBERS + f"budget: {text}")


def test_what_was_spent_is_rows_and_lost_attempts_times_the_gpus_of_their_submission(project):
    """Rows of 900 and 1,800 s on two GPUs each, 3,600 s by a submission that is gone; an attempt of half an hour that failed."""
    sweep = toy.sweep(project, NUMBERS)
    states = {run.id: Standing(State.NEW) for run in sweep.all_runs}
    made = toy.plan(project, sweep).stages[1]
    code = toy.Code(None, None, "0")
    one = planfile.record(project, sweep, made, "cpu", project.root, code, 60, {"gpus_per_task": 2})
    sent = [one.name, one.name, "gone"]
    rows = [
        {"run_id": run.id, "submission": name, "run_seconds": seconds, "device": "cpu", "work": 1.0}
        for run, name, seconds in zip(sweep.runs, sent, [900.0, 1800.0, 3600.0], strict=False)
    ]
    store.publish(project.store, "square", "numbers", "part", rows, store.schema_of(sweep.jobs["square"]))
    _attempt(one, made.groups[0].id, 1800.0)
    paid = budget.spent(project, sweep, Profile(cluster="local"), "cpu", states)
    assert paid.used == pytest.approx(2 * 0.25 + 2 * 0.5 + 1.0)
    assert paid.wasted == pytest.approx(2 * 0.5)
    assert paid.under_way == 0


def _attempt(one, group: str, seconds: float) -> None:
    now = time.time()
    journal = Journal(one, 0, 0)
    journal.write(event="start", group=group, host="n1", at=now)
    journal.write(event="end", group=group, outcome="failed", cause="code", message="no", at=now + seconds)


def test_what_is_queued_or_running_counts_as_it_was_expected(project):
    sweep = toy.sweep(project, NUMBERS)
    states = {run.id: Standing(State.DONE) for run in sweep.all_runs}
    states |= {sweep.runs[0].id: Standing(State.RUNNING), sweep.runs[1].id: Standing(State.PENDING)}
    paid = budget.spent(project, sweep, Profile(cluster="local"), "cpu", states)
    assert paid.under_way == pytest.approx((2 * 10 + plan.STARTUP_S) / 3600)  # the prior of the job is 10 s


def test_submit_refuses_beyond_the_budget_and_sends_nothing(project, tmp_path, monkeypatch):
    (project.sweeps / "squares.yaml").write_text(NUMBERS + "profile: small\nbudget: 0.001\n")
    (project.profiles / "small.yaml").write_text("cluster: slurm\ndevice: cpu\n")
    sent = tmp_path / "sent"
    bin = commandline.slurm(tmp_path / "bin", sinfo="echo slurm 24.05", sbatch=f"echo x >> {sent}; echo Submitted batch job 17")
    monkeypatch.setenv("PATH", f"{bin}:/usr/bin:/bin")
    monkeypatch.chdir(project.root)
    before = commandline.contents(project.results)
    refused = call("sweep", "submit", "squares", "--yes")
    assert (refused.code, refused.out) == (2, "")
    assert "(budget 0.001)" in refused.err and "more than the budget of 0.001" in refused.err
    assert not sent.exists() and commandline.contents(project.results) == before
    assert call("sweep", "submit", "squares", "--yes", "--budget", "nan").code == 2
    assert "(budget 2)" in call("sweep", "submit", "squares", "--dry-run", "--budget", "2").out
    assert call("sweep", "plan", "squares", "--json").json["budget"] == 0.001
    assert call("sweep", "submit", "squares", "--yes", "--budget", "2").code == 0
    assert sent.read_text() == "x\n"


def test_a_pack_that_is_asked_for_must_fit_into_a_task():
    with pytest.raises(ValueError, match="pack_min is 90 min of work, but a task ends after timeout_min, 60 min"):
        Profile(pack_min=90.0, timeout_min=60)
    assert Profile(timeout_min=30).pack_min == 60  # nobody asked for it: packs are as long as a task may work
    assert Profile(cluster="local", pack_min=90.0, timeout_min=60).pack_min == 90
