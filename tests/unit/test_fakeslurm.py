"""The fake Slurm behaves as the real one does, but for the fault that a test asks for."""

import subprocess
from pathlib import Path

import fakeslurm
import pytest
import toy

from repsim import cluster, reconcile
from repsim.errors import ClusterError
from repsim.profile import Profile
from repsim.state import State
from repsim.sweep.expand import Sweep

PROFILE = Profile(device="cpu", min_tasks=2, mem_gb=0.5)


def send(fake: fakeslurm.FakeSlurm, *options: str) -> "subprocess.CompletedProcess[str]":
    """sbatch of a script that does nothing."""
    script = fake.folder / "script.sh"
    script.write_text("#!/bin/bash\n#SBATCH --job-name=mine\ntrue\n")
    return subprocess.run(["sbatch", *options, str(script)], capture_output=True, text=True)


def waits(project, count: int = 4) -> Sweep:
    return toy.sweep(project, f"job: slow\ngrid: {{value: 0..{count - 1}}}\nfixed: {{seconds: 0.0}}", "waits")


def submit(project, sweep: Sweep) -> list[reconcile.Sent]:
    """What `repsim sweep submit` does after it has asked."""
    reconcile.close_finished(project)
    states = reconcile.standings(project, sweep)
    return reconcile.submit(project, sweep, reconcile.make_plan(project, sweep, states, PROFILE, "cpu"), PROFILE, states, False)


def test_what_is_sent_is_seen_run_and_over(project, fake):
    sweep = waits(project)
    (sent,) = submit(project, sweep)
    assert fake.states() == {"100_0": "PENDING", "100_1": "PENDING"}
    assert {task.element: (task.name, task.index) for task in reconcile.queue(project)} == {
        "100_0": (sent.submission, 0),
        "100_1": (sent.submission, 1),
    }
    assert fake.work() == ["100_0", "100_1"]
    assert set(fake.states().values()) == {"COMPLETED"}
    assert {s.state for s in reconcile.standings(project, sweep).values()} == {State.DONE}
    assert Path(fake.jobs["100"]["cwd"]) == Path.cwd()


@pytest.mark.parametrize(
    ("kind", "taken", "said"),
    [("lose", 1, "Socket timed out"), ("busy", 0, "temporarily unavailable"), ("limit", 0, "submit limit"), ("down", 0, "contact")],
)
def test_sbatch_takes_the_job_or_not_and_fails(fake, kind, taken, said):
    fake.fault("sbatch", kind)
    answer = send(fake)
    assert (answer.returncode, len(fake.elements)) == (1, taken)
    assert said in answer.stderr
    assert send(fake).stdout.startswith("Submitted batch job 10"), "the fault was for one call"


def test_limits_of_the_cluster_are_kept(fake):
    fake.configure(MaxArraySize=3, MaxJobCount=4)
    assert "Invalid job array" in send(fake, "--array=0-3").stderr
    assert send(fake, "--array=0-2%2").returncode == 0
    assert "temporarily unavailable" in send(fake, "--array=0-1").stderr
    assert "Invalid partition" in send(fake, "--partition=nowhere").stderr
    assert cluster.max_array_size() == 3


def test_dependencies_wait_are_freed_or_are_never_satisfied(fake):
    send(fake)
    for option in ("afterany:100", "afterok:100"):
        send(fake, f"--dependency={option}")
    send(fake, "--dependency=afterok:100", "--kill-on-invalid-dep=yes")
    assert {e["reason"] for name, e in fake.elements.items() if name != "100"} == {"Dependency"}
    fake.end("100", state="FAILED")
    found = [(e["state"], e["reason"]) for e in list(fake.elements.values())[1:]]
    assert found[:2] == [("PENDING", "None"), ("PENDING", "DependencyNeverSatisfied")]
    assert found[2][0] == "CANCELLED"
    fake.forget("100")
    assert "dependency problem" in send(fake, "--dependency=afterok:100").stderr


def test_squeue_lags_forgets_lies_and_hangs(fake, monkeypatch):
    send(fake)
    fake.lag()
    fake.start("100")
    assert [t.state for t in cluster.queue(["mine"])] == ["PENDING"]
    fake.lag(False)
    assert [(t.state, t.node) for t in cluster.queue(["mine"])] == [("RUNNING", "n1")]
    fake.fault("squeue", "empty", "down", "hang")
    assert cluster.queue(["mine"]) == []
    with pytest.raises(ClusterError, match="contact"):
        cluster.queue(["mine"])
    monkeypatch.setattr("repsim.cluster.TIMEOUT_S", 0.3)
    with pytest.raises(ClusterError, match="did not answer"):
        cluster.queue(["mine"])
    fake.forget("100")
    assert cluster.queue(["mine"]) == []
    said = subprocess.run(["sacct", "-n", "-X", "-P", "-j", "100", "-o", "JobID,State"], capture_output=True, text=True)
    assert said.stdout == "100|RUNNING\n"


def test_cancel_requeue_hold_and_preempt_move_elements(fake):
    send(fake, "--array=0-3")
    fake.start("100_1", "100_2")
    cluster.cancel(["100_0"])
    assert cluster.requeue("100_1")
    assert not cluster.requeue("999_1")
    fake.preempt("100_2")
    fake.hold("100_3", "JobHeldAdmin")
    shown = {t.element: (t.state, t.reason) for t in cluster.queue(["mine"])}
    assert shown == {
        "100_0": ("CANCELLED", "None"),
        "100_1": ("PENDING", "BeginTime"),
        "100_2": ("PENDING", "BeginTime"),
        "100_3": ("PENDING", "JobHeldAdmin"),
    }
    assert [fake.elements[name]["restarts"] for name in ("100_1", "100_2")] == [1, 1]


def test_accounting_can_be_denied_and_calls_are_counted(fake):
    fake.always("sacct", "deny")
    for _ in range(2):
        denied = subprocess.run(["sacct"], capture_output=True, text=True)
        assert (denied.returncode, denied.stderr) == (1, "Slurm accounting storage is disabled\n")
    assert len(fake.asked("sacct")) == 2
