"""Tasks on real Slurm that lose their GPU, or their place: a fresh process in the same step, and restarts that are counted."""

import os
import signal
import time

import pytest
import test_sweeps
import toy
from onemachine import wait_until
from test_sweeps import PATIENCE_S, PROFILE, answers, expected, project, states, submit, until_quiet, until_running, waits

from repsim import cluster, reconcile, restarts, submission
from repsim.cause import Cause
from repsim.nodes import faults
from repsim.state import State

pytestmark = pytest.mark.slurm
ONE_TASK = PROFILE.model_copy(update={"min_tasks": 1})
__all__ = ["project"]


def only(project) -> submission.Submission:
    (one,) = submission.every(project.submissions)
    return one


def restarts_of(job_id: str) -> int:
    return int(cluster.call("squeue", "-h", "-t", "all", "-j", job_id, "-O", "RestartCnt").strip())


def test_after_a_cuda_fault_a_fresh_process_of_the_same_task_goes_on(project):
    recipes = "zip: {seed: [0, 1, 2, 3], recipe: [good, fails, good, good]}"
    sweep = toy.sweep(project, f"job: train\nfixed: {{arch: net, dataset: d}}\n{recipes}", "faults")
    (sent,) = submit(project, sweep, ONE_TASK)
    until_quiet(project)
    one = only(project)
    came = [record for record in one.comings() if record["event"] == "begun"]
    assert len(came) == 2 and len({record["pid"] for record in came}) == 1 and {r["slurm_job"] for r in came} == {sent.job_id}
    assert restarts_of(sent.job_id) == 0, "Slurm saw one task"
    found = reconcile.standings(project, sweep)
    assert sorted(str(s.state) for s in found.values()) == ["done", "done", "done", "failed"]
    (fault,) = faults([one])
    assert fault.cause is Cause.CUDA_FAULT and fault.node.startswith("n"), "the node as Slurm calls it"
    text = next(one.slurm.glob("*_log.out")).read_text()
    assert "fresh process 1 of at most 3 goes on" in text and text.count("illegal memory access") >= 1


def test_a_signal_that_comes_while_the_process_is_replaced_is_heard(project):
    """The fresh process is told to stop by the signal that its predecessor could not hear any more."""
    values = "zip: {seed: [0, 1], recipe: [fails, good]}"
    job = project.jobs / "train.py"
    raised = 'raise RuntimeError("CUDA error: an illegal memory access was encountered")'
    masked = (
        f"import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); import os; os.kill(os.getpid(), 15); {raised}"
    )
    job.write_text(job.read_text().replace(raised, masked))
    sweep = toy.sweep(project, f"job: train\nfixed: {{arch: net, dataset: d}}\n{values}", "faults")
    submit(project, sweep, ONE_TASK)
    until_quiet(project)
    one = only(project)
    assert [record.get("why") for record in one.comings() if record["event"] == "left"] == ["fault", "SIGTERM"]


def test_a_requeued_task_goes_on_where_it_was_and_counts_as_preempted(project):
    sweep = waits(project, 6, 1.0)
    (sent,) = submit(project, sweep, ONE_TASK)
    wait_until(lambda: len(answers(project, sweep)) == 2, PATIENCE_S)
    cluster.call("scontrol", "requeue", sent.job_id)
    wait_until(lambda: answers(project, sweep) == expected(sweep), PATIENCE_S, lambda: reconcile.queue(project))
    until_quiet(project)
    one = only(project)
    assert restarts.counts([one], set()) == {"preempted": 1}
    why = [event["why"] for event in one.events() if event.get("outcome") == "interrupted"]
    assert why == ["SIGTERM"]


def test_a_task_preempted_three_times_with_nothing_done_fails_its_run(project):
    sweep = toy.sweep(project, "job: slow\ngrid: {value: [0]}\nfixed: {seconds: 40}", "waits")
    (sent,) = submit(project, sweep, ONE_TASK)
    for restart in range(3):
        until_running_again(project, sweep, restart)
        cluster.call("scontrol", "requeue", sent.job_id)
    wait_until(lambda: states(project, sweep) == [State.FAILED], PATIENCE_S, lambda: reconcile.queue(project))
    until_quiet(project)
    (found,) = reconcile.standings(project, sweep).values()
    assert (found.state, found.cause) == (State.FAILED, "preempted")
    assert restarts.counts([only(project)], set()) == {"preempted": 3}


def until_running_again(project, sweep, restart: int) -> None:
    """Until the run has been begun in this restart of its task."""

    def begun() -> bool:
        return any(e["event"] == "start" and e["restart"] == restart for e in only(project).events())

    wait_until(begun, PATIENCE_S, lambda: reconcile.queue(project))


def test_a_killed_process_counts_as_lost_and_a_cancelled_one_as_nothing(project):
    sweep = waits(project, 2, 20)
    submit(project, sweep, PROFILE.model_copy(update={"min_tasks": 2}))
    wait_until(lambda: states(project, sweep).count(State.RUNNING) == 2, PATIENCE_S)
    os.kill(test_sweeps.process_of(0), signal.SIGKILL)
    (one,) = submission.every(project.submissions)
    cluster.call("scancel", "--signal=TERM", f"{one.sent['job_id']}_1")
    until_quiet(project)
    assert restarts.counts([one], set()) == {"lost": 1}


def test_a_stop_lets_tasks_finish_their_group_and_leave_well(project):
    from repsim import orders

    sweep = waits(project, 8, 1.0)
    (sent,) = submit(project, sweep, PROFILE.model_copy(update={"min_tasks": 2}))
    until_running(project, sweep)
    orders.stop(only(project), orders.Stop("hand", time.time()))
    until_quiet(project)
    done = len(answers(project, sweep))
    assert 1 <= done <= 4, "the groups that were at work, and no more"
    ended = cluster.call("squeue", "-h", "-r", "-t", "all", "-j", sent.job_id, "-o", "%T").split()
    assert set(ended) == {"COMPLETED"}
    assert set(states(project, sweep)) == {State.DONE, State.NEW}


def test_a_withdrawn_submission_that_slurm_runs_late_computes_nothing(project):
    sweep = waits(project, 2, 0.1)
    cluster.call("scontrol", "update", "partitionname=gpu", "state=down")
    try:
        submit(project, sweep)
        (only(project).folder / "withdrawn").touch()
    finally:
        cluster.call("scontrol", "update", "partitionname=gpu", "state=up")
    until_quiet(project)
    assert answers(project, sweep) == {} and only(project).events() == []
    assert set(states(project, sweep)) == {State.NEW}
