"""What a task does: one part per group, whole or not at all, whatever happens in between."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import toy
from tasks import last_events, pack, parts, rows, squares

from repsim import identity, measuring, store, worker
from repsim.errors import UserError
from repsim.pack import Pack, needed_s
from repsim.submission import Submission


def test_every_group_becomes_one_part_named_by_its_id(project):
    sweep = squares(project)
    one = toy.submission(project, sweep)
    assert pack(one).run() == ["done", "done"]
    assert sorted(parts(project)) == sorted(group["id"] for group in one.plan["tasks"][0])
    found = rows(project, sweep)
    assert [(found[run.id]["square"], found[run.id]["value"]) for run in sweep.runs] == [(4.0, 2.0), (9.0, 3.0)] * 2


@pytest.mark.parametrize("beside", [1, 2])
def test_a_job_knows_how_many_tasks_share_its_device(project, monkeypatch, beside):
    task = pack(toy.submission(project, squares(project)), beside=beside)
    module, told = task.jobs["square"].module, []
    square = module.run
    monkeypatch.setattr(module, "run", lambda configs, context: [told.append(context.beside), *square(configs, context)][1:])
    assert task.run() == ["done", "done"]
    assert told == [beside, beside]


def test_a_row_says_where_it_comes_from(project, monkeypatch):
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "18")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    sweep = squares(project, "grid: {value: [2.0, 3.0], times: [5]}")
    one = toy.submission(project, sweep)
    pack(one).run()
    row = rows(project, sweep)[sweep.runs[0].id]
    said = {
        key: row[key] for key in ("job", "job_version", "group", "submission", "attempt", "work", "slurm_job", "device", "code")
    }
    assert said == {
        "job": "square",
        "job_version": 1,
        "group": one.plan["tasks"][0][0]["id"],
        "submission": one.name,
        "attempt": 2,
        "work": 5.0,
        "slurm_job": "18_3",
        "device": "cpu",
        "code": "0",
    }
    assert 0 <= row["run_seconds"] < 5
    assert row["started"].endswith("+00:00")
    assert row["peak_memory_gb"] > 0
    assert "torch" not in sys.modules or row["torch"]


@pytest.mark.parametrize(
    ("mood", "cause", "message"),
    [
        ("fails", "code", "ZeroDivisionError: no square today"),
        ("refuses", "missing_input", "value: is no number\n  → give another"),
        ("memory", "oom_host", "MemoryError: no room"),
        ("forgets", "code", "the job gave rows for"),
    ],
)
def test_a_group_that_fails_publishes_nothing_and_leaves_the_others(project, mood, cause, message):
    sweep = squares(project, f"grid: {{value: [2.0, 3.0]}}\nzip: {{batch: [0, 1, 2], mood: [well, {mood}, well]}}")
    one = toy.submission(project, sweep)
    assert sorted(pack(one).run()) == ["done", "done", "failed"]
    assert len(parts(project)) == 2
    failed = [event for event in last_events(one).values() if event["outcome"] == "failed"]
    assert [event["cause"] for event in failed] == [cause]
    assert message in failed[0]["message"]


def test_one_bad_run_takes_its_group_with_it(project):
    sweep = squares(project, "zip: {value: [1.0, 2.0, 3.0], mood: [well, fails, well]}")
    assert pack(toy.submission(project, sweep)).run() == ["failed"]
    assert rows(project, sweep) == {}


def test_a_diverged_run_is_a_result(project):
    sweep = squares(project, "grid: {value: [2.0], mood: [diverges]}")
    assert pack(toy.submission(project, sweep)).run() == ["done"]
    row = rows(project, sweep)[sweep.runs[0].id]
    assert (row["outcome"], row["square"]) == ("diverged", None)


def test_stored_runs_are_skipped_and_only_the_rest_of_a_group_is_computed(project):
    small, large = (
        squares(project, "grid: {value: [1.0, 2.0]}", "small"),
        squares(project, "grid: {value: [1.0, 2.0, 3.0]}", "large"),
    )
    pack(toy.submission(project, small)).run()
    before = rows(project, small)
    assert pack(toy.submission(project, small)).run() == ["stored"]
    assert pack(toy.submission(project, large)).run() == ["done"]
    after = rows(project, large)
    assert len(after) == 3
    assert {run: after[run] for run in before} == before
    assert len(store.rows(project.store, large.jobs["square"], ["run_id"])) == 3  # nothing twice on disk


def test_a_stop_in_the_middle_of_a_group_publishes_nothing_of_it(project):
    sweep = squares(project)
    one = toy.submission(project, sweep)
    steps = iter([False, False, False, False, False, True])  # before group 1, its 2 steps, before group 2, its 2 steps
    assert pack(one, stop=lambda: next(steps, True)).run() == ["done", "interrupted"]
    assert len(parts(project)) == 1
    assert [event["outcome"] for event in last_events(one).values()] == ["done", "interrupted"]
    assert pack(toy.submission(project, sweep)).run() == ["stored", "done"]


def test_what_a_stop_leaves_over_is_said(project):
    sweep = squares(project, "grid: {batch: [0, 1, 2], value: [2.0]}")
    one = toy.submission(project, sweep)
    told: list[str] = []
    outcomes = pack(one, stop=lambda: bool(told), ended=lambda group, outcome: told.append(group)).run()
    assert outcomes == ["done", "interrupted", "interrupted"]
    assert len(told) == 1


def test_a_group_is_blocked_until_its_network_is_there(project):
    sweep = squares(project, "grid: {batch: [0], value: [2.0], network: [abc]}")
    one = toy.submission(project, sweep)
    assert pack(one).run() == ["blocked"]
    event = last_events(one)[one.plan["tasks"][0][0]["id"]]
    assert (event["cause"], event["message"]) == ("missing_input", "waits for abc")
    file = toy.network_file(project, "abc")
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    assert pack(one).run() == ["done"]


def test_a_group_is_handed_back_when_time_is_short_but_a_fresh_task_begins_any(project):
    sweep = squares(project, "grid: {value: [2.0]}\nzip: {batch: [0, 1, 2], times: [30, 20, 10]}")
    new = {run.id: 100.0 * run.config.model_dump()["times"] for run in sweep.runs}
    one = toy.submission(project, sweep)
    for group in one.plan["tasks"][0]:
        group["seconds"], group["worst"] = 1.0, new[group["runs"][0]["id"]]  # the slowest tenth decides
    assert pack(one, time_left=lambda: 1500.0).run() == ["done", "handed_back", "done"]
    assert [e["outcome"] for e in last_events(one).values()] == ["done", "handed_back", "done"]


def test_a_plan_that_does_not_say_how_long_a_group_may_take_is_read_with_a_margin():
    assert needed_s({"seconds": 100.0}) == 130.0
    assert needed_s({"seconds": 100.0, "worst": 400.0}) == 400.0


def test_a_group_too_long_for_a_whole_task_fails_instead_of_coming_back_for_ever(project):
    sweep = squares(project)
    steps = iter([False, False])
    one = toy.submission(project, sweep)
    assert pack(one, stop=lambda: next(steps, True), why=lambda: "SIGUSR2").run() == ["failed", "interrupted"]
    assert [(e["cause"], "raise timeout_min" in e["message"]) for e in last_events(one).values()] == [("timeout", True)]


def test_after_a_cuda_fault_nothing_more_is_tried_in_that_process(project):
    sweep = toy.sweep(project, "job: train\nfixed: {arch: net, dataset: d}\nzip: {seed: [0, 1, 2], recipe: [good, fails, good]}")
    one = toy.submission(project, sweep)
    assert pack(one).run() == ["done", "failed", "interrupted"]
    assert [e.get("cause") for e in last_events(one).values()] == [None, "cuda_fault"]


def test_a_run_whose_id_no_longer_fits_is_not_computed(project):
    sweep = squares(project, "grid: {value: [2.0]}")
    one = toy.submission(project, sweep)
    one.plan["tasks"][0][0]["runs"][0]["config"]["value"] = 5.0
    assert pack(one).run() == ["failed"]
    assert "plan and code disagree" in last_events(one)[one.plan["tasks"][0][0]["id"]]["message"]
    assert parts(project) == []


def test_a_job_file_that_changed_since_the_plan_is_not_run(project):
    one = toy.submission(project, squares(project))
    file = project.jobs / "square.py"
    file.write_text(file.read_text() + "\n")
    with pytest.raises(UserError, match="not the one that was submitted") as caught:
        pack(one)
    assert caught.value.where == str(file)


def test_a_data_set_cannot_lead_out_of_the_store(project):
    one = toy.submission(project, squares(project, "grid: {value: [2.0]}"))
    for name in ("../../outside", "a/b", "numbers\n", "", ".hidden"):
        one.plan["tasks"][0][0]["dataset"] = name
        assert pack(one).run() == ["failed"]
    assert parts(project) == []


def test_two_tasks_that_race_for_a_group_leave_one_part(project):
    sweep = squares(project, "grid: {batch: [0], value: [1.0, 2.0, 3.0]}")
    one = toy.submission(project, sweep)
    both_at_work = threading.Barrier(2)
    outcomes: list[list[str]] = []

    def race() -> None:
        asked = itertools.count()

        def stop() -> bool:
            if next(asked) == 1:  # at the first step of the group: both have seen that nothing is stored
                both_at_work.wait(timeout=20)
            return False

        outcomes.append(pack(one, stop=stop).run())

    threads = [threading.Thread(target=race) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [["done"], ["stored"]]
    assert len(parts(project)) == 1
    assert len(list((project.store / "job=square" / "dataset=numbers").iterdir())) == 1
    assert len(rows(project, sweep)) == 3


DIES_IN_ITS_SECOND_GROUP = """
import os, signal, sys
from pathlib import Path
from repsim.submission import Submission
from repsim.pack import Pack

seen = set()

def listen(group, fraction, text):
    seen.add(group)
    if len(seen) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

Pack(Submission(Path(sys.argv[1])), 0, lambda: False, lambda: 1e9, listen).run()
"""


def test_a_process_killed_in_the_middle_leaves_a_store_that_reads(project):
    """kill -9 while a group is at work: its start is on record, nothing of it in the store, and the next task does it."""
    sweep = squares(project, "grid: {batch: [0, 1], value: [1.0]}")
    one = toy.submission(project, sweep)
    killed = subprocess.run(
        [sys.executable, "-c", DIES_IN_ITS_SECOND_GROUP, str(one.folder)], check=False, capture_output=True, text=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(parts(project)) == 1
    assert [e["event"] for e in one.events()] == ["start", "end", "start"]
    assert pack(one).run() == ["stored", "done"]
    assert len(rows(project, sweep)) == 2


@pytest.fixture
def frozen(project, monkeypatch):
    """run_pack as Slurm calls it, with the squeue of this test and its own record of requeues."""
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "18")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    monkeypatch.setattr(worker.code, "must_be_frozen", lambda home: None)
    monkeypatch.setattr(worker.cluster, "call", lambda *_: "2999-01-01T00:00:00\n")
    requeued: list[str] = []
    monkeypatch.setattr(worker.cluster, "requeue", lambda element: not requeued.append(element))
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)}
    yield requeued
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("number", "at", "outcomes", "requeues"),
    [
        (signal.SIGUSR2, 2, ["done", "interrupted", "interrupted"], ["18_0"]),
        (signal.SIGTERM, 2, ["done", "interrupted", "interrupted"], []),
        (signal.SIGUSR2, 9, ["done", "done", "done"], []),
    ],
)
def test_near_the_time_limit_a_task_that_got_on_puts_itself_back(project, frozen, monkeypatch, number, at, outcomes, requeues):
    sweep = squares(project, "grid: {batch: [0, 1, 2], value: [1.0]}")
    one = toy.submission(project, sweep)
    groups: list[str] = []

    def begin(self, group, todo, original=Pack._compute):
        groups.append(group["id"])
        if len(groups) == at:
            os.kill(os.getpid(), number)
        return original(self, group, todo)

    monkeypatch.setattr(Pack, "_compute", begin)
    assert worker.run_pack(str(one.folder / "plan.json"), 0) == outcomes
    assert frozen == requeues


def test_a_controller_that_is_away_for_a_moment_is_asked_again_to_take_a_task_back(frozen, monkeypatch):
    """At the time limit, on a Friday night: what is not put back into the queue waits for somebody to submit."""
    answers, slept = iter([False, False, True]), []
    monkeypatch.setattr(worker.cluster, "requeue", lambda element: next(answers))
    monkeypatch.setattr(worker.time, "sleep", slept.append)
    assert worker._requeue(deadline=worker.time.time() + 100)
    assert slept == list(worker.PAUSES_S[:3])
    monkeypatch.setattr(worker.cluster, "requeue", lambda element: False)
    slept.clear()
    assert not worker._requeue(deadline=worker.time.time() + 25)
    assert slept == list(worker.PAUSES_S[:2]), "no longer than Slurm lets it live"


def test_a_task_with_a_failed_group_fails_so_that_slurm_shows_it(project, frozen):
    sweep = squares(project, "grid: {value: [1.0]}\nzip: {batch: [0, 1], mood: [well, fails]}")
    one = toy.submission(project, sweep)
    with pytest.raises(RuntimeError, match="1 of 2 groups failed"):
        worker.run_pack(str(one.folder / "plan.json"), 0)
    assert len(parts(project)) == 1


def test_code_that_is_not_the_frozen_copy_is_refused(project, tmp_path):
    with pytest.raises(UserError, match="imported repsim from"):
        worker.code.must_be_frozen(tmp_path)
    worker.code.must_be_frozen(Path(measuring.repsim.__file__).parent.parent)


def test_the_deadline_is_what_slurm_says_else_the_time_limit(monkeypatch):
    monkeypatch.setattr(worker.cluster, "call", lambda *_: "2001-02-03T04:05:06\n")
    assert worker._deadline(60) == worker.datetime(2001, 2, 3, 4, 5, 6).timestamp()
    for answer in ("Unknown\n", "", "N/A\n"):
        monkeypatch.setattr(worker.cluster, "call", lambda *_, answer=answer: answer)
        assert worker._deadline(60) == pytest.approx(worker.time.time() + 3600, abs=5)


def test_a_plan_on_disk_is_what_the_worker_checks_against(project):
    """Plan and worker agree on every id: the worker refuses what it cannot name as the plan did."""
    sweep = toy.sweep(project, "zoo: {arch: net, dataset: d, seeds: 0..2}\nlayers: relu\ncases: {a: {lr: [1.0e-3, 0.5]}}")
    one = Submission(toy.submission(project, sweep).folder)
    written = [
        run for task in json.loads((one.folder / "plan.json").read_text())["tasks"] for group in task for run in group["runs"]
    ]
    job = sweep.jobs["stitch"]
    assert [identity.id_of(job, measuring._config(job, run)) for run in written] == [run["id"] for run in written]
    assert {run["id"] for run in written} == {run.id for run in sweep.runs}
