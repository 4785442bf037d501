"""A plan is a pure function of runs, states, limits and rates."""

import math
import random

import pytest
import toy

from repsim import plan, store
from repsim.measured import Rate
from repsim.plan import Group, Limits
from repsim.profile import Profile
from repsim.state import Standing, State

STITCH = "zoo: {arch: net, dataset: d, seeds: 0..3}\nlayers: [relu1, relu2]\ncases: {a: {}, b: {stitcher: lowrank, rank: [1, 2]}}"


def squares(project, batches: int, per_batch: int):
    axes = f"grid: {{batch: {list(range(batches))}, value: {[float(i) for i in range(per_batch)]}}}"
    return toy.sweep(project, f"job: square\n{axes}")


def of(sweep, state=State.NEW):
    return {run.id: Standing(state) for run in sweep.all_runs}


def every(seconds: float):
    return lambda runs: [(1.0, Rate(seconds, 2 * seconds, 9, "measured"))] * len(runs)


def shared(seconds: float, each: float):
    """Runs of a group share most of what they cost."""
    return lambda runs: [((seconds + each * len(runs)) / len(runs), Rate(1.0, 2.0, 9, "measured"))] * len(runs)


def group(name: str, seconds: float) -> Group:
    return Group(name, (), seconds, seconds)


def loads(tasks) -> list[float]:
    return [sum(g.seconds for g in task) for task in tasks]


def test_groups_go_longest_first_to_the_least_loaded_task():
    """Graham's example: LPT on 3 machines."""
    groups = [group(str(i), s) for i, s in enumerate([5, 5, 4, 4, 3, 3, 3])]
    tasks = plan.packed(groups, Limits(pack_s=9.0))
    assert [[g.seconds for g in task] for task in tasks] == [[5, 3, 3], [5, 3], [4, 4]]


def test_packing_loses_and_doubles_no_group_and_is_near_the_best():
    drawn = random.Random(0)
    groups = [group(str(i), drawn.uniform(1, 100)) for i in range(300)]
    tasks = plan.packed(groups, Limits(pack_s=1000.0))
    assert sorted(g.id for task in tasks for g in task) == sorted(g.id for g in groups)
    best = max(sum(g.seconds for g in groups) / len(tasks), 100)
    assert max(loads(tasks)) <= (4 / 3) * best  # Graham 1969: LPT ≤ 4/3 − 1/(3m) of the optimum
    assert len(tasks) == math.ceil(sum(g.seconds for g in groups) / 1000)


@pytest.mark.parametrize(("wanted", "groups", "expected"), [(1, 5, 1), (3, 5, 3), (9, 5, 5)])
def test_work_is_spread_over_the_least_number_of_tasks_where_there_are_groups_enough(wanted, groups, expected):
    tasks = plan.packed([group(str(i), 1.0) for i in range(groups)], Limits(pack_s=1000.0, min_tasks=wanted))
    assert len(tasks) == expected
    assert all(tasks)


def test_nothing_to_do_is_no_task():
    assert plan.packed([], Limits(min_tasks=4)) == ()


def test_groups_that_cost_nothing_are_packed_too():
    assert loads(plan.packed([group("a", 0.0), group("b", 0.0)], Limits())) == [0.0]


def test_runs_of_one_key_are_one_group_in_their_order(project):
    sweep = squares(project, 3, 4)
    groups = plan.grouped(sweep.runs, 1000.0, every(1.0))
    assert [[run.config.model_dump()["value"] for run in g.runs] for g in groups] == [[0.0, 1.0, 2.0, 3.0]] * 3
    assert [(g.seconds, g.worst) for g in groups] == [(4.0, 8.0)] * 3
    assert len({g.id for g in groups}) == 3


def test_a_group_longer_than_a_pack_is_split_evenly_and_a_run_never(project):
    sweep = squares(project, 1, 10)
    assert [len(g.runs) for g in plan.grouped(sweep.runs, 35.0, every(10.0))] == [4, 4, 2]
    assert [len(g.runs) for g in plan.grouped(sweep.runs, 5.0, every(10.0))] == [1] * 10
    assert [run.id for g in plan.grouped(sweep.runs, 35.0, every(10.0)) for run in g.runs] == [run.id for run in sweep.runs]


def test_what_runs_share_is_reckoned_once_and_a_group_is_split_only_where_it_is_too_long_itself(project):
    sweep = squares(project, 1, 10)
    (whole,) = plan.grouped(sweep.runs, 35.0, shared(20.0, 1.0))
    assert whole.seconds == pytest.approx(30) and whole.worst == pytest.approx(60)
    assert sum(whole.works) == pytest.approx(30) and len(set(whole.works)) == 1
    pieces = plan.grouped(sweep.runs, 25.0, shared(20.0, 1.0))  # in two, 25 s each: 20 of them again
    assert [len(group.runs) for group in pieces] == [3, 3, 3, 1] and max(group.seconds for group in pieces) < 25


def test_a_group_of_twice_the_numbers_does_not_take_twice_as_long(project):
    few, many = (plan.grouped(squares(project, 1, count).runs, 100.0, shared(20.0, 0.1))[0] for count in (10, 20))
    assert many.seconds == pytest.approx(22) and few.seconds == pytest.approx(21)


def test_hours_are_seconds_of_groups_and_starts_times_gpus(project):
    sweep = squares(project, 4, 9)
    made = plan.make(sweep, of(sweep), Limits(pack_s=1800.0, gpus_per_task=2), every(100.0))
    tasks = len(made.stages[1].tasks)
    assert tasks == 2
    assert made.hours() == pytest.approx(2 * (36 * 100 + tasks * plan.STARTUP_S) / 3600)
    assert made.hours(worst=True) == pytest.approx(2 * (36 * 200 + tasks * plan.STARTUP_S) / 3600)
    assert made.stages[1].longest == pytest.approx(1800 + plan.STARTUP_S)
    assert plan.make(sweep, of(sweep), Limits(pack_s=1800.0), every(100.0)).hours() == pytest.approx(made.hours() / 2)


def test_the_same_input_gives_the_same_plan(project):
    sweep = toy.sweep(project, STITCH)
    one, other = (plan.make(sweep, of(sweep), Limits(pack_s=30.0), every(7.0)) for _ in range(2))
    assert one == other
    assert [[g.as_json() for g in t] for s in one.stages for t in s.tasks] == [
        [g.as_json() for g in t] for s in other.stages for t in s.tasks
    ]


def test_only_new_runs_are_sent_and_blocked_ones_wait(project):
    sweep = toy.sweep(project, STITCH)
    states = of(sweep)
    kinds = [State.DONE, State.RUNNING, State.PENDING, State.FAILED, State.BLOCKED, State.NEW]
    for index, run in enumerate(sweep.runs):
        states[run.id] = Standing(kinds[index % 6])
    states[sweep.networks[0].id] = Standing(State.DONE)
    made = plan.make(sweep, states, Limits(), every(1.0))
    assert [stage.runs for stage in made.stages] == [3, 12, 12]
    assert made.counts == {State.DONE: 13, State.NEW: 15} | dict.fromkeys(kinds[1:5], 12)
    assert made.stage("later") is made.stages[2]
    again = plan.make(sweep, states, Limits(), every(1.0), also=(State.FAILED,))
    assert [stage.runs for stage in again.stages] == [3, 24, 12]


def test_a_sweep_that_is_done_has_an_empty_plan(project):
    sweep = toy.sweep(project, STITCH)
    made = plan.make(sweep, of(sweep, State.DONE), Limits(), every(1.0))
    assert all(not stage.tasks for stage in made.stages)
    assert (made.hours(), made.measured, made.stage("runs")) == (0.0, 0, None)


def test_a_plan_says_how_many_measured_runs_it_rests_on(project):
    sweep = squares(project, 2, 2)
    assert plan.make(sweep, of(sweep), Limits(), lambda runs: [(1.0, Rate(1.0, 1.0, 17, "measured"))] * len(runs)).measured == 17


def test_measured_runs_replace_the_guess_of_the_job(project):
    sweep = toy.sweep(project, "job: square\ngrid: {value: [1.0, 2.0], times: [3]}")
    assert toy.plan(project, sweep).stages[1].groups[0].seconds == pytest.approx(2 * 3 * 10.0)  # PRIOR_RATE of the job
    toy.run(project, sweep)
    wider = toy.sweep(project, "job: square\ngrid: {value: [1.0, 2.0, 3.0], times: [3]}")
    made = toy.plan(project, wider)
    assert made.measured == 2
    assert made.stages[1].runs == 1
    assert 0 < made.stages[1].groups[0].seconds < 10.0


def test_a_guess_is_packed_as_if_it_were_three_times_too_low(project):
    sweep = toy.sweep(project, f"job: square\ngrid: {{value: {[float(i) for i in range(100)]}, times: [10]}}")
    assert max(g.seconds for g in toy.plan(project, sweep, toy.LOCAL).stages[1].groups) == 1200  # of 10,000; a pack holds 3,600


def test_no_group_is_planned_that_no_task_has_the_time_for(project):
    """Runs of 100 s, one in ten of 500: a task of half an hour works 1,660 s between its start and the warning."""
    sweep = squares(project, 1, 40)
    short = Profile(cluster="slurm", device="cpu", timeout_min=30, pack_min=30)
    limits = Limits(1800.0, task_s=1660.0)
    made = plan.make(sweep, of(sweep), limits, lambda runs: [(1.0, Rate(100.0, 500.0, 50, "measured"))] * len(runs))
    assert max(g.worst for g in made.groups) == 1500 and max(g.seconds for g in made.groups) == 300
    assert max(g.worst for g in toy.plan(project, sweep, short).groups) <= 1660


def test_the_slow_end_is_no_more_than_the_time_that_tasks_may_work(project):
    sweep = squares(project, 4, 3)
    made = plan.make(sweep, of(sweep), Limits(600.0, task_s=700.0), every(100.0))
    assert (len(made.stages[1].tasks), made.stages[1].seconds) == (2, 2 * (600 + plan.STARTUP_S))
    assert made.stages[1].worst == 2 * (700 + plan.STARTUP_S)


def test_what_a_group_does_once_is_reckoned_once(project):
    sweep = squares(project, 1, 10)
    made = plan.make(sweep, of(sweep), Limits(), lambda runs: [(2.0, Rate(3.0, 4.0, 1, "dry-run", once=50.0))] * len(runs))
    assert (made.groups[0].seconds, made.groups[0].worst) == (50 + 60, 50 + 80)


def test_packs_from_measured_rates_last_as_long_as_they_are_meant_to(project):
    """2,000 runs of 27 to 33 s by the rows of 50: 17 h of work in packs of 60 min, and what they then take is 60 min each."""
    measured = squares(project, 1, 50)
    drawn = random.Random(0)
    rows = [
        {
            "run_id": run.id,
            "outcome": "ok",
            "device": "cpu",
            "work": 1.0,
            "run_seconds": drawn.uniform(27, 33),
            "dataset": "numbers",
        }
        for run in measured.runs
    ]
    store.publish(project.store, "square", "numbers", "g", rows, store.schema_of(measured.jobs["square"]))
    sweep = squares(project, 200, 10)
    made = toy.plan(project, sweep, toy.LOCAL.model_copy(update={"pack_min": 60.0}))
    assert made.measured == 50
    took = [sum(drawn.uniform(27, 33) for g in task for _ in g.runs) / 60 for task in made.stages[1].tasks]
    assert len(took) == math.ceil(sum(g.seconds for g in made.groups) / 3600)
    assert min(took) > 50 and max(took) < 65


def test_a_part_of_a_sweep_keeps_the_networks_it_needs(project):
    sweep = toy.sweep(project, STITCH)
    part = plan.restricted(sweep, lambda run: (run.labels["front_seed"], run.labels["end_seed"]) == (2, 0))
    assert sorted(run.labels["seed"] for run in part.networks) == [0, 2]
    assert len(part.runs) == 6


def test_what_the_plan_file_holds_is_enough_to_check_and_compute(project):
    sweep = toy.sweep(project, STITCH)
    shown = plan.make(sweep, of(sweep), Limits(), every(1.0)).stages[1].groups[0].as_json()
    assert shown.keys() == {"id", "job", "dataset", "seconds", "worst", "source", "inputs", "runs"}
    assert shown["inputs"] == sorted(sweep.runs[0].inputs)
    assert sweep.jobs["stitch"].config.model_validate(shown["runs"][0]["config"]) == sweep.runs[0].config


def test_ten_thousand_runs_are_planned_in_a_moment(project):
    sweep = squares(project, 2500, 4)
    made = plan.make(sweep, of(sweep), Limits(pack_s=10.0), every(1.0))
    assert len(sweep.runs) == 10_000
    assert len(made.stages[1].tasks) == 1000
    assert max(loads(made.stages[1].tasks)) == 12.0


def test_retry_takes_failed_runs_only_and_the_failed_networks_that_others_wait_for(project):
    spec = "zoo: {arch: net, dataset: images, seeds: 0..3}\npairs: [[0, 1], [2, 3]]\nlayers: relu\ncases: {a: {stitcher: linear}}"
    sweep = toy.sweep(project, spec)
    states = {run.id: Standing(State.NEW) for run in sweep.all_runs}
    failed, waiting = sweep.networks[0], sweep.runs[-1]
    states |= {failed.id: Standing(State.FAILED), waiting.id: Standing(State.FAILED)}
    part = plan.failed_only(sweep, states, lambda run: True)
    assert part.networks == (failed,) and part.runs == (waiting,)
    elsewhere = plan.failed_only(sweep, states, lambda run: failed.id not in run.inputs)
    assert elsewhere.networks == () and elsewhere.runs == (waiting,)
