"""Sweeps on real Slurm: sent once, whatever happens to tasks and nodes, and complete in the end.

The jobs are light (no torch); what Slurm does to the processes is real.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import toy
from onemachine import running_cluster, wait_until

from repsim import cluster, reconcile, sbatch, store
from repsim.errors import ClusterError
from repsim.profile import Profile
from repsim.state import State
from repsim.sweep.expand import Sweep

pytestmark = pytest.mark.slurm
PROFILE = Profile(partition="gpu", device="cpu", gpus_per_task=1, mem_gb=0.5, timeout_min=30, min_tasks=4, signal_s=10)
PATIENCE_S = 60


@pytest.fixture
def project(tmp_path, monkeypatch, cluster):
    """A fresh toy project, on the shared cluster."""
    monkeypatch.setattr("repsim.catalog._ask", toy.sheet)
    monkeypatch.chdir(tmp_path)
    return toy.make(tmp_path / "project")


def waits(project, count: int, seconds: float) -> Sweep:
    """A sweep of `count` waits, each a group of its own."""
    return toy.sweep(project, f"job: slow\ngrid: {{value: 0..{count - 1}}}\nfixed: {{seconds: {seconds}}}", "waits")


def submit(project, sweep: Sweep, profile: Profile = PROFILE, chain: bool = False, also: tuple[State, ...] = ()):
    """What `repsim sweep submit` does after it has asked."""
    with reconcile.locked(project):
        reconcile.close_finished(project)
        states = reconcile.standings(project, sweep)
        plan = reconcile.make_plan(project, sweep, states, profile, "cpu", also)
        return reconcile.submit(project, sweep, plan, profile, states, chain)


def cancel(project, sweep: Sweep) -> list[str]:
    """What `repsim sweep cancel` does after it has asked."""
    tasks = reconcile.tasks_of(project, reconcile.standings(project, sweep), {run.id for run in sweep.runs})
    cluster.cancel([task.element for task in tasks])
    return [task.element for task in tasks]


def states(project, sweep: Sweep) -> list[State]:
    return [s.state for s in reconcile.standings(project, sweep).values()]


def until_quiet(project, seconds: float = PATIENCE_S) -> None:
    """Until nothing of the project is queued or running."""
    wait_until(
        lambda: all(task.state not in cluster.ALIVE for task in reconcile.queue(project)), seconds, lambda: reconcile.queue(project)
    )


def until_running(project, sweep: Sweep) -> None:
    wait_until(lambda: State.RUNNING in states(project, sweep), PATIENCE_S, lambda: states(project, sweep))


def answers(project, sweep: Sweep) -> dict[str, int]:
    """Answer by run id, read from every part as it is: a run that was stored twice fails the test."""
    import pyarrow.parquet as pq

    rows = [row for part in store.parts(project.store, "slow") for row in pq.read_table(part, partitioning=None).to_pylist()]
    assert len(rows) == len({row["run_id"] for row in rows}), "a run was stored twice"
    return {row["run_id"]: row["answer"] for row in rows}


def expected(sweep: Sweep) -> dict[str, int]:
    return {run.id: run.config.model_dump()["value"] + 1 for run in sweep.runs}


def process_of(task: int) -> int:
    """Process id of the Python that runs a task: the last of its tree that runs submitit."""
    found = subprocess.run(["pgrep", "-f", "submitit.core._submit"], capture_output=True, text=True).stdout.split()
    mine = [int(pid) for pid in found if f"SLURM_ARRAY_TASK_ID={task}".encode() in _file(pid, "environ").split(b"\0")]
    return max(pid for pid in mine if b"python" in _file(pid, "cmdline").split(b"\0")[0])


def _file(pid: str | int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""  # it has just ended


def test_a_sweep_sent_twice_is_computed_once(project):
    sweep = waits(project, 12, 0.2)
    sent = submit(project, sweep)
    assert [one.tasks for one in sent] == [4]
    assert submit(project, sweep) == [], "all runs are queued or running"
    until_quiet(project)
    assert answers(project, sweep) == expected(sweep)
    assert submit(project, sweep) == [], "all runs are done"
    assert set(states(project, sweep)) == {State.DONE}


def test_rows_say_which_task_made_them(project):
    sweep = waits(project, 2, 0.1)
    (sent,) = submit(project, sweep)
    until_quiet(project)
    rows = store.read(project.store, sweep.jobs["slow"]).to_pylist()
    assert {row["slurm_job"] for row in rows} == {f"{sent.job_id}_0", f"{sent.job_id}_1"}
    assert {row["submission"] for row in rows} == {sent.submission}
    assert all(row["code"] and row["host"] and row["run_seconds"] >= 0.1 for row in rows)


def test_what_a_killed_task_left_is_sent_again_and_nothing_else(project):
    sweep = waits(project, 8, 1.5)
    submit(project, sweep)
    until_running(project, sweep)
    task = next(s.task for s in reconcile.standings(project, sweep).values() if s.state is State.RUNNING)
    os.kill(process_of(task), signal.SIGKILL)
    until_quiet(project)
    before = answers(project, sweep)
    assert 0 < len(before) < len(sweep.runs), "the other tasks went on"
    (again,) = submit(project, sweep)
    assert again.runs == len(sweep.runs) - len(before)
    until_quiet(project)
    assert answers(project, sweep) == expected(sweep)


def test_a_task_that_is_told_to_stop_leaves_within_seconds_and_the_rest_is_sent_again(project):
    sweep = toy.sweep(project, "job: slow\ngrid: {value: 0..1}\nfixed: {seconds: 40}", "waits")
    (sent,) = submit(project, sweep)
    wait_until(lambda: set(states(project, sweep)) == {State.RUNNING}, PATIENCE_S, lambda: states(project, sweep))
    began = time.monotonic()
    cluster.call("scancel", "--signal=TERM", sent.job_id)
    until_quiet(project, 20)
    assert time.monotonic() - began < 15
    assert answers(project, sweep) == {}
    assert set(states(project, sweep)) == {State.NEW}


def test_near_the_time_limit_a_task_with_progress_puts_itself_back_into_the_queue(project):
    sweep = toy.sweep(project, "job: slow\ngrid: {value: 0..1}\nfixed: {seconds: 2}", "waits")
    (sent,) = submit(project, sweep, PROFILE.model_copy(update={"min_tasks": 1}))
    wait_until(lambda: len(answers(project, sweep)) == 1, PATIENCE_S)
    cluster.call("scancel", "--signal=USR2", sent.job_id)
    wait_until(lambda: answers(project, sweep) == expected(sweep), PATIENCE_S, lambda: reconcile.queue(project))
    until_quiet(project)
    last = max(store.read(project.store, sweep.jobs["slow"]).to_pylist(), key=lambda row: row["started"])
    assert last["attempt"] == 1 and last["slurm_job"] == sent.job_id


def test_a_cancelled_sweep_is_sent_again_by_the_next_submit(project):
    sweep = waits(project, 8, 3)
    submit(project, sweep, PROFILE.model_copy(update={"max_parallel": 2}))
    until_running(project, sweep)
    elements = cancel(project, sweep)
    assert len(elements) == 4
    until_quiet(project)
    assert set(states(project, sweep)) <= {State.NEW, State.DONE}
    (again,) = submit(project, sweep)
    assert again.runs == states(project, sweep).count(State.PENDING) + states(project, sweep).count(State.RUNNING)
    cancel(project, sweep)
    until_quiet(project)


def test_failed_runs_are_left_alone_until_retried(project):
    sweep = toy.sweep(project, "job: square\ngrid: {value: [1.0, 2.0], mood: [well, fails]}\nzip: {batch: [0, 1]}", "moods")
    submit(project, sweep)
    until_quiet(project)
    found = reconcile.standings(project, sweep)
    failed = {s.message for s in found.values() if s.state is State.FAILED}
    assert failed == {"ZeroDivisionError: no square today"}
    assert submit(project, sweep) == []
    (again,) = submit(project, sweep, also=(State.FAILED,))
    assert again.runs == [s.state for s in found.values()].count(State.FAILED)
    until_quiet(project)


def test_trainings_go_first_and_chained_stitches_follow(project):
    spec = "zoo: {arch: net, dataset: images, seeds: 0..2}\nlayers: relu\ncases: {plain: {stitcher: linear}}"
    sweep = toy.sweep(project, spec, "chain")
    sent = submit(project, sweep, chain=True)
    assert [one.stage for one in sent] == ["networks", "later"]
    assert submit(project, sweep, chain=True) == []
    until_quiet(project)
    assert set(states(project, sweep)) == {State.DONE}


def test_stitches_of_untrained_networks_wait_for_the_next_submit(project):
    spec = "zoo: {arch: net, dataset: images, seeds: 0..2}\nlayers: relu\ncases: {plain: {stitcher: linear}}"
    sweep = toy.sweep(project, spec, "wait")
    assert [one.stage for one in submit(project, sweep)] == ["networks"]
    until_quiet(project)
    assert [one.stage for one in submit(project, sweep)] == ["runs"]
    until_quiet(project)
    assert set(states(project, sweep)) == {State.DONE}


def test_an_array_longer_than_the_cluster_allows_is_split(project, monkeypatch):
    monkeypatch.setattr("repsim.cluster.array_limit", lambda said: 3)
    sweep = waits(project, 7, 0.1)
    sent = submit(project, sweep, PROFILE.model_copy(update={"min_tasks": 7}))
    assert [one.tasks for one in sent] == [3, 3, 1]
    until_quiet(project)
    assert answers(project, sweep) == expected(sweep)


def test_queued_tasks_run_the_code_that_was_submitted(project):
    sweep = waits(project, 2, 0.1)
    cluster.call("scontrol", "update", "partitionname=gpu", "state=down")
    try:
        submit(project, sweep)
        job = project.jobs / "slow.py"
        job.write_text(job.read_text().replace("config.value + 1", "config.value + 1000"))
    finally:
        cluster.call("scontrol", "update", "partitionname=gpu", "state=up")
    until_quiet(project)
    assert answers(project, sweep) == expected(sweep)


def test_a_refused_array_leaves_nothing_behind(project):
    sweep = waits(project, 2, 0.1)
    with pytest.raises(ClusterError, match="Invalid partition"):
        submit(project, sweep, PROFILE.model_copy(update={"partition": "nowhere"}))
    assert not list(project.submissions.rglob("*.pkl"))
    assert set(states(project, sweep)) == {State.NEW}


def test_a_task_that_dies_before_it_begins_counts_as_failed(project):
    sweep = waits(project, 2, 0.1)
    submit(project, sweep, PROFILE.model_copy(update={"setup": ["exit 3"]}))
    until_quiet(project)
    found = list(reconcile.standings(project, sweep).values())
    assert {(s.state, s.cause) for s in found} == {(State.FAILED, "unknown")}
    reconcile.close_finished(project)
    assert {s.cause for s in reconcile.standings(project, sweep).values()} == {"unknown"}, "remembered after Slurm forgets"
    assert submit(project, sweep) == []


def test_a_lost_answer_of_sbatch_is_adopted_by_name(project, monkeypatch):
    sweep = waits(project, 2, 0.5)
    honest = sbatch.send

    def lost(*args):
        honest(*args)
        raise sbatch.Unanswered("sbatch timed out")

    monkeypatch.setattr("repsim.sbatch.send", lost)
    (sent,) = submit(project, sweep)
    monkeypatch.undo()
    assert sent.job_id.isdigit()
    until_quiet(project)
    assert answers(project, sweep) == expected(sweep)


def test_submitting_from_inside_a_job_works(project, cluster, monkeypatch):
    for key, value in {"SLURM_MEM_PER_CPU": "100", "SLURM_NTASKS": "7", "SLURM_JOB_ID": "1", "SBATCH_PARTITION": "nowhere"}.items():
        monkeypatch.setenv(key, value)
    sweep = waits(project, 2, 0.1)
    submit(project, sweep)
    until_quiet(project)
    assert answers(project, sweep) == expected(sweep)
    assert os.environ["SLURM_NTASKS"] == "7"


def test_a_dead_node_costs_nothing_but_time(project, monkeypatch):
    with running_cluster() as other:
        monkeypatch.setenv("SLURM_CONF", str(other.conf))
        sweep = waits(project, 8, 4)
        submit(project, sweep, PROFILE.model_copy(update={"slurm": {"exclusive": True}}))
        until_running(project, sweep)
        other.fault("kill-node", "n2")
        wait_until(lambda: answers(project, sweep) == expected(sweep), 100, lambda: reconcile.queue(project))
        until_quiet(project)
        assert submit(project, sweep) == []


def test_without_a_controller_nothing_is_sent_and_it_is_said(project, monkeypatch):
    with running_cluster("--nodes", "1") as other:
        monkeypatch.setenv("SLURM_CONF", str(other.conf))
        other.fault("kill-controller")
        sweep = waits(project, 2, 0.1)
        with pytest.raises(ClusterError, match="cannot be reached") as caught:
            submit(project, sweep)
        assert "nothing was changed" in str(caught.value)
        assert not list(project.submissions.glob("repsim-*"))
        other.fault("start-controller")


def test_without_slurm_the_error_names_the_way_out(project, monkeypatch):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    with pytest.raises(ClusterError, match=r"no '(squeue|scontrol)' on PATH") as caught:
        submit(project, waits(project, 2, 0.1))
    assert "repsim sweep run" in str(caught.value)
