"""What sacct of a real cluster tells of attempts that squeue has forgotten."""

import pytest
import toy
from onemachine import running_cluster, wait_until
from test_sweeps import states, submit, until_running, waits

from repsim import accounting, cluster, nodes, reconcile, submission
from repsim.state import State

pytestmark = [pytest.mark.slurm, pytest.mark.accounting]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A fresh toy project, on a cluster with accounting."""
    monkeypatch.setattr("repsim.catalog._ask", toy.sheet)
    monkeypatch.chdir(tmp_path)
    with running_cluster("--accounting") as one:
        monkeypatch.setenv("SLURM_CONF", str(one.conf))
        yield toy.make(tmp_path / "project")


def test_how_attempts_ended_is_known_though_squeue_forgot_them(project):
    sweep = waits(project, 4, 60)
    submit(project, sweep)
    wait_until(lambda: states(project, sweep).count(State.RUNNING) == 4, 60, lambda: states(project, sweep))
    (one,) = submission.every(project.submissions)
    job = (one.sent or {})["job_id"]
    cluster.call("scontrol", "requeue", f"{job}_0")
    cluster.call("scancel", "--signal=KILL", f"{job}_1")
    until = {(one.name, 0): "REQUEUED", (one.name, 1): "CANCELLED"}

    def told() -> dict:
        lost = [accounting.Lost(one, index, 0.0) for index in range(2)]
        found = accounting.Accounts(project.cache, every=0.0)(lost)
        return {key: ends[0].state for key, ends in found.items() if ends}

    wait_until(lambda: told() == until, 60, told)
    endings = accounting.remembered(project.cache)
    assert all(ends[0].node in ("n1", "n2", "n3", "n4") for ends in endings.values())
    assert nodes.faults([one], endings=endings) == [], "neither speaks against its node"
    until_running(project, sweep)
    forgotten = reconcile.standings(project, sweep, list)
    assert State.DONE not in {standing.state for standing in forgotten.values()}
    cluster.cancel([job])
