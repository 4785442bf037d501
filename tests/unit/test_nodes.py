"""Bad nodes are known by two faults within a day, and are at most a tenth of a partition."""

import json

import commandline
import pytest
import toy
from commandline import call

from repsim import cluster, nodes
from repsim.cause import Cause
from repsim.journal import Journal
from repsim.nodes import Fault
from repsim.profile import Profile
from repsim.submission import Submission

NOW = 2_000_000.0
HOUR = 3600.0


def sent(project, host: str, *, fault: str | None = None, ended: str | None = None, at: float = NOW) -> Submission:
    """A submission of one group that was begun on `host`, and failed with `fault` or was left as Slurm `ended` it."""
    one = toy.submission(project, toy.sweep(project, "job: square\ngrid: {value: [1.0]}", "squares"))
    group = one.plan["tasks"][0][0]["id"]
    events = [{"at": at, "event": "start", "group": group, "host": host, "gpu": "H100"}]
    if fault:
        events.append({"at": at, "event": "end", "group": group, "outcome": "failed", "cause": fault, "message": "CUDA error"})
    Journal(one, 0, 0)._path.write_text("".join(json.dumps(event) + "\n" for event in events))
    one.mark_sent(job_id="17")
    one.close({0: ended} if ended else None)
    return one


def test_cuda_faults_and_lost_nodes_are_faults_of_their_nodes_and_nothing_else_is(project):
    known = [
        sent(project, "n1", fault="cuda_fault"),
        sent(project, "n2", ended="NODE_FAIL"),
        sent(project, "n3", fault="oom_gpu"),
        sent(project, "n4", ended="TIMEOUT"),
        sent(project, "n5", ended="PREEMPTED"),
    ]
    assert [(fault.node, fault.cause) for fault in nodes.faults(known, NOW)] == [("n1", "cuda_fault"), ("n2", "node_fail")]


def test_a_fault_is_forgotten_after_a_day(project):
    known = [sent(project, "n1", fault="cuda_fault", at=NOW - age * HOUR) for age in (1, 23, 25)]
    found = nodes.faults(known, NOW)
    assert [(NOW - fault.at) / HOUR for fault in found] == [23, 1]


def fault(node: str) -> Fault:
    return Fault(node, Cause.CUDA_FAULT, NOW, "s", 0, "")


def test_a_node_is_suspect_after_two_faults_the_worst_first():
    found = [fault(node) for node in ("a", "b", "b", "c", "c", "c")]
    assert nodes.suspects(found) == ["c", "b"]
    assert nodes.suspects(found, least=1) == ["c", "b", "a"]


@pytest.mark.parametrize(("size", "excluded"), [(4, None), (10, "x"), (19, "x"), (20, "x,y"), (400, "x,y,z")])
def test_no_more_than_a_tenth_of_a_partition_is_avoided(monkeypatch, size, excluded):
    monkeypatch.setattr(cluster, "partition_size", lambda partition: size)
    assert nodes.avoiding(Profile(), ["x", "y", "z"]).slurm.get("exclude") == excluded


def test_what_the_profile_excludes_stays_excluded_and_nothing_is_named_twice(monkeypatch):
    monkeypatch.setattr(cluster, "partition_size", lambda partition: 20)
    profile = Profile(slurm={"exclude": "a,x", "exclusive": True})
    assert nodes.avoiding(profile, ["x", "y"]).slurm == {"exclude": "a,x,y", "exclusive": True}
    assert nodes.avoiding(profile, []) is profile


def test_the_size_of_a_partition_is_asked_of_slurm(monkeypatch):
    monkeypatch.setattr(
        cluster, "call", lambda *words: "n1|cpu*\nn1|gpu\nn2|cpu*\nn3|gpu\n" if "-p" not in words else "n1|gpu\nn3|gpu\n"
    )
    assert cluster.partition_size(None) == 2
    assert cluster.partition_size("gpu") == 2


def test_nodes_are_listed_with_their_evidence(project, monkeypatch):
    monkeypatch.chdir(project.root)
    assert call("sweep", "nodes").out == "no node had a fault in the last 24 hours\n"
    now = nodes.time.time()
    known = [sent(project, host, fault="cuda_fault", at=now - 60) for host in ("n1", "n1", "n2")]
    lines = call("sweep", "nodes").out.splitlines()
    assert lines[0].startswith("n1: 2 faults, avoided by submissions")
    assert f"cuda_fault on H100 in task 0 of {known[0].name}: CUDA error" in lines[1]
    assert lines[3].startswith("n2: 1 fault, remembered until")
    assert [(one["node"], one["avoided"]) for one in call("sweep", "nodes", "--json").json["nodes"]] == [
        ("n1", True),
        ("n2", False),
    ]


@pytest.fixture
def script(project, tmp_path, monkeypatch):
    """The batch script that a Slurm of ten nodes got."""
    file = tmp_path / "script"
    sinfo = f"""case "$*" in *-N*) {"; ".join(f"echo 'n{i}|gpu*'" for i in range(10))};; *) echo slurm 24.05;; esac"""
    folder = commandline.slurm(tmp_path / "bin", sinfo=sinfo, sbatch=f'cp "$1" {file}; echo Submitted batch job 17')
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.chdir(project.root)
    (project.profiles / "cluster.yaml").write_text("cluster: slurm\ndevice: cpu")
    return file


def test_submissions_avoid_a_node_after_two_faults_and_not_after_one(project, script):
    (project.sweeps / "other.yaml").write_text("job: square\ngrid: {value: [5.0]}")
    sent(project, "n7", fault="cuda_fault", at=nodes.time.time())
    assert call("sweep", "submit", "other", "--profile", "cluster", "--yes").code == 0
    assert "--exclude" not in script.read_text()
    sent(project, "n7", fault="cuda_fault", at=nodes.time.time())
    assert call("sweep", "submit", "other", "--profile", "cluster", "--yes").code == 0
    assert "#SBATCH --exclude=n7\n" in script.read_text()


def test_a_retry_avoids_the_node_of_the_fault_at_once(project, script):
    sent(project, "n7", fault="cuda_fault", at=nodes.time.time())
    assert call("sweep", "retry", "squares", "--profile", "cluster", "--yes").code == 0
    assert "#SBATCH --exclude=n7\n" in script.read_text()
