"""What a task does about its GPU: a fault ends the process and not the task, and too little memory halves the group."""

import errno
import json
import os
import subprocess
import sys

import pytest
import toy
from tasks import last_events, pack, parts, rows, squares

from repsim import cause, code, hardware, identity, measuring, planfile, reconcile
from repsim import plan as planning
from repsim.cause import Cause
from repsim.nodes import faults
from repsim.state import Standing, State
from repsim.submission import Submission

CHILD = "import sys; from repsim.worker import run_pack; run_pack(sys.argv[1], 0)"
FAULT = "CUDA error: an illegal memory access was encountered"


class OutOfMemoryError(RuntimeError):
    """What torch raises, by its name."""


def frozen_submission(project, sweep) -> Submission:
    """One task of all runs, with the code frozen as `submit` does."""
    new = {run.id: Standing(State.NEW) for run in sweep.all_runs}
    made = planning.make(sweep, new, planning.Limits(pack_s=1e9), reconcile.weigher(project, sweep, "cpu")).stage("runs")
    assert made and len(made.tasks) == 1
    found = code.identify(project)
    return planfile.record(project, sweep, made, "cpu", code.freeze(project, found), found, 60)


def in_slurm(one: Submission) -> "subprocess.CompletedProcess[str]":
    """The task as Slurm starts it, a process of its own; there is no squeue, and whatever is called is not there."""
    slurm = {"SLURM_ARRAY_JOB_ID": "18", "SLURM_ARRAY_TASK_ID": "0"}
    environment = {"PATH": "/nowhere", "PYTHONPATH": one.plan["code"], "PYTHONSAFEPATH": "1", **slurm}
    command = [sys.executable, "-c", CHILD, str(one.folder / "plan.json")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def trainings(project, recipes: list[str]):
    seeds = list(range(len(recipes)))
    return toy.sweep(
        project, f"job: train\nfixed: {{arch: net, dataset: d}}\nzip: {{seed: {seeds}, recipe: [{', '.join(recipes)}]}}"
    )


def test_after_a_cuda_fault_a_fresh_process_goes_on_with_the_rest(project):
    sweep = trainings(project, ["good", "fails", "good", "fails", "good"])
    one = frozen_submission(project, sweep)
    ended = in_slurm(one)
    assert ended.returncode == 1 and "2 of 5 groups failed" in ended.stderr, ended.stderr
    assert len(rows(project, sweep)) == 3, "every run but those that fault"
    starts = [event["group"] for event in one.events() if event["event"] == "start"]
    assert len(starts) == len(set(starts)) == 5, "none is tried twice"
    came = [record for record in one.comings() if record["event"] == "begun"]
    assert len(came) == 3 and len({record["pid"] for record in came}) == 1, "the same process for Slurm, begun afresh twice"
    assert len(list((one.folder / "attempts").iterdir())) == 3
    assert [(fault.node, fault.cause) for fault in faults([one])] == 2 * [(os.uname().nodename, Cause.CUDA_FAULT)]


def test_a_card_that_fails_again_and_again_is_left_to_others(project):
    sweep = trainings(project, ["fails"] * 6 + ["good"])
    one = frozen_submission(project, sweep)
    ended = in_slurm(one)
    assert ended.returncode == 1, ended.stderr
    failed = [event for event in one.events() if event.get("outcome") == "failed"]
    assert len(failed) == 4, "one process and three fresh ones"
    assert len([record for record in one.comings() if record["event"] == "begun"]) == 4
    assert len({event["group"] for event in one.events()}) == 4, "what was not begun is new, and sent by the next submit"


@pytest.mark.parametrize(
    ("error", "why", "poisons"),
    [
        (RuntimeError(FAULT), Cause.CUDA_FAULT, True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), Cause.CUDA_FAULT, True),
        (RuntimeError("CUDA error: device-side assert triggered"), Cause.CODE, True),
        (RuntimeError("CUDA error: out of memory"), Cause.OOM_GPU, False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), Cause.OOM_GPU, False),
        (OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB"), Cause.OOM_GPU, False),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), Cause.OOM_HOST, False),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), Cause.OOM_HOST, False),
        (RuntimeError("No CUDA GPUs are available"), Cause.CUDA_FAULT, True),
        (RuntimeError("CUDA unknown error - this may be due to an incorrectly set up environment"), Cause.CUDA_FAULT, True),
        (ValueError("no"), Cause.CODE, False),
    ],
)
def test_an_error_of_the_gpu_tells_its_cause_and_whether_the_process_is_lost(error, why, poisons):
    assert (cause.of_error(error), cause.poisons(error)) == (why, poisons)


@pytest.mark.parametrize("wish", ["auto", "cuda"])
def test_a_node_whose_card_is_gone_is_blamed_and_its_groups_are_left_to_others(project, monkeypatch, wish):
    """Not computed on its CPU for days, not lost before the first record, and not eaten one after the other."""
    one = toy.submission(project, squares(project))
    plan = {**one.plan, "device": wish, "gpus_per_task": 1}
    (one.folder / "plan.json").write_text(json.dumps(plan))
    one = Submission(one.folder)
    monkeypatch.setenv("SLURMD_NODENAME", "n7")
    monkeypatch.setattr(hardware, "gpus", list)
    monkeypatch.setattr(hardware, "DRIVER", one.folder / "none")
    task = pack(one)
    assert task.run() == ["failed", "interrupted"]
    assert (task.halted, task.poisoned, parts(project)) == (True, False, [])
    (end,) = [event for event in one.events() if event["event"] == "end"]
    assert end["cause"] == Cause.CUDA_FAULT and "none is seen on n7" in end["message"]
    assert [fault.node for fault in faults([one])] == ["n7"]


def fitting(most: int, error=OutOfMemoryError("CUDA out of memory"), never: float | None = None):
    """A job whose groups of more than `most` runs do not fit, and no group with the value `never`."""

    def limited(original):
        def run(configs, context):
            if len(configs) > most or any(config.value == never for config in configs):
                raise error
            return original(configs, context)

        return run

    return limited


def limit(monkeypatch, task, **how) -> None:
    module = task.jobs["square"].module
    monkeypatch.setattr(module, "run", fitting(**how)(module.run))


def test_a_group_that_does_not_fit_is_done_in_two_halves(project, monkeypatch):
    sweep = squares(project, "grid: {value: [1.0, 2.0, 3.0, 4.0, 5.0]}")
    one = toy.submission(project, sweep)
    task, freed = pack(one), []
    limit(monkeypatch, task, most=3)
    monkeypatch.setattr(hardware, "free_memory", lambda: freed.append(True))
    assert task.run() == ["done"]
    ids = [run["id"] for run in one.plan["tasks"][0][0]["runs"]]
    assert set(parts(project)) == {identity.group_id("square", ids[:3]), identity.group_id("square", ids[3:])}
    found = rows(project, sweep)
    assert {run: found[run]["square"] for run in ids} == {run.id: run.config.model_dump()["value"] ** 2 for run in sweep.runs}
    assert {found[run]["group"] for run in ids} == set(parts(project)), "a row names the part it is in"
    assert len(freed) == 2, "before each half"


@pytest.mark.parametrize(
    ("error", "why"), [(OutOfMemoryError("CUDA out of memory"), "oom_gpu"), (MemoryError("no room"), "oom_host")]
)
def test_what_does_not_fit_even_in_half_fails_and_the_other_half_is_kept(project, monkeypatch, error, why):
    sweep = squares(project, "grid: {value: [1.0, 2.0, 3.0, 4.0]}")
    one = toy.submission(project, sweep)
    task = pack(one)
    limit(monkeypatch, task, most=2, error=error, never=4.0)
    assert task.run() == ["failed"]
    (end,) = [event for event in one.events() if event["event"] == "end"]
    assert end["cause"] == why and "in one half of 4 runs" in end["message"]
    assert sorted(row["value"] for row in rows(project, sweep).values()) == [1.0, 2.0]
    one.close()
    states = toy.states(project, sweep)
    found = [(states[run.id].state, states[run.id].cause) for run in sweep.runs]
    assert found == 2 * [(State.DONE, None)] + 2 * [(State.FAILED, why)]


def test_a_group_is_halved_once_and_no_more(project, monkeypatch):
    sweep = squares(project, "grid: {value: [1.0, 2.0, 3.0, 4.0]}")
    task, tries = pack(toy.submission(project, sweep)), []
    limit(monkeypatch, task, most=1)
    honest = measuring.measured
    monkeypatch.setattr(
        measuring, "measured", lambda job, group, runs, *rest: (tries.append(len(runs)), honest(job, group, runs, *rest))[1]
    )
    assert task.run() == ["failed"]
    assert tries == [4, 2, 2]
    assert rows(project, sweep) == {}


def test_a_single_run_that_does_not_fit_fails_at_once(project, monkeypatch):
    one = toy.submission(project, squares(project, "grid: {value: [1.0]}"))
    task = pack(one)
    limit(monkeypatch, task, most=0)
    assert task.run() == ["failed"]
    assert [event["cause"] for event in last_events(one).values()] == ["oom_gpu"]
