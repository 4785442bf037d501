"""The one-machine cluster behaves as a cluster: it schedules, preempts, loses nodes, and leaves nothing behind."""

import os
import time
from pathlib import Path

import pytest
from onemachine import command, running_cluster, wait_until

pytestmark = pytest.mark.slurm


@pytest.fixture(scope="module")
def struck(tmp_path_factory):
    """A second cluster, with a job whose node lost its power. Slurm takes 45 s to notice: the last test looks at it."""
    out = tmp_path_factory.mktemp("struck") / "starts"
    with running_cluster("--nodes", "2") as other:
        job = other.submit("echo $SLURMD_NODENAME; sleep 300", out=out)
        wait_until(lambda: out.exists() and out.read_text(), seconds=10)
        node = out.read_text().strip()
        other.fault("kill-node", node)
        yield other, job, node, out


def test_two_clusters_run_at_once(cluster, struck):
    other, *_ = struck
    assert list(cluster.nodes()) == ["n1", "n2", "n3", "n4"]
    assert list(other.nodes()) == ["n1", "n2"]
    assert cluster.run("squeue", "-h") == ""
    assert other.run("squeue", "-h", "-o", "%T").split() == ["RUNNING"]


def test_four_nodes_are_idle(cluster):
    assert cluster.nodes() == dict.fromkeys(("n1", "n2", "n3", "n4"), "idle")


def test_every_task_of_an_array_gets_a_gpu_of_its_own(cluster, tmp_path):
    job = cluster.submit("echo $SLURMD_NODENAME:$CUDA_VISIBLE_DEVICES; sleep 2", "--array=0-7", "--gres=gpu:1", out=tmp_path / "%a")
    cluster.wait_for(job, "COMPLETED")
    seen = {path.read_text().strip() for path in tmp_path.iterdir()}
    assert seen == {f"n{node}:{gpu}" for node in (1, 2, 3, 4) for gpu in (0, 1)}


def test_more_gpus_than_a_node_has_are_refused(cluster):
    with pytest.raises(AssertionError, match="Requested node configuration is not available"):
        cluster.submit("true", "--gres=gpu:3")


def test_preempted_job_is_requeued_and_runs_again(cluster, tmp_path):
    out = tmp_path / "starts"
    low = cluster.submit("echo start; sleep 300", "--partition=gpu-preempt", "--nodelist=n2", "--gres=gpu:2", out=out)
    wait_until(lambda: out.exists() and out.read_text(), seconds=10)
    high = cluster.submit("true", "--partition=gpu", "--nodelist=n2", "--gres=gpu:2")
    cluster.wait_for(high, "COMPLETED")
    cluster.wait_for(low, "PENDING")
    wait_until(lambda: out.read_text().count("start\n") == 2, seconds=30)
    assert [job.restarts for job in cluster.wait_for(low, "RUNNING")] == [1]
    cluster.run("scancel", low)


def test_up_a_second_time_changes_nothing(cluster):
    before = _pids(cluster.folder)
    again = command("up", cluster.folder)
    assert (again.returncode, again.stdout) == (0, f"export SLURM_CONF={cluster.conf}\n")
    assert "already up" in again.stderr
    assert len(before) == 6
    assert _pids(cluster.folder) == before


def test_jobs_outlive_a_crash_of_the_controller(cluster, tmp_path):
    out = tmp_path / "out"
    job = cluster.submit("sleep 8; echo done", out=out)
    cluster.wait_for(job, "RUNNING")
    started, saved = time.time(), cluster.folder / "state" / "job_state"
    # Slurm saves its state every 5 s; a crash before that holds the job ("launch failed requeued held").
    wait_until(lambda: saved.exists() and saved.stat().st_mtime > started, seconds=15)
    cluster.fault("kill-controller")
    assert "slurmctld    dead" in command("status", cluster.folder).stdout
    wait_until(lambda: out.exists() and "done" in out.read_text(), seconds=15)
    cluster.fault("start-controller")
    cluster.wait_for(job, "COMPLETED")


def test_node_without_slurmd_keeps_its_job_and_comes_back(cluster, tmp_path):
    job = cluster.submit("sleep 4; echo done", "--nodelist=n3", out=tmp_path / "out")
    cluster.wait_for(job, "RUNNING")
    cluster.fault("lose-slurmd", "n3")
    wait_until(lambda: "done" in (tmp_path / "out").read_text(), seconds=15)
    cluster.fault("start-node", "n3")
    cluster.wait_for(job, "COMPLETED")


@pytest.mark.parametrize(
    "first_break", [(), ("kill-controller",), ("lose-slurmd", "n1")], ids=["healthy", "no controller", "no slurmd"]
)
def test_down_leaves_no_process_and_no_folder(first_break):
    with running_cluster("--nodes", "1") as doomed:
        job = doomed.submit("trap '' TERM; setsid sleep 1000 & srun sleep 1000 & sleep 1000; sleep 1000")
        doomed.wait_for(job, "RUNNING")
        wait_until(lambda: len(_processes_of(doomed.folder)) > 5, seconds=10)
        if first_break:
            doomed.fault(*first_break)
        assert command("down", doomed.folder).returncode == 0
        assert _processes_of(doomed.folder) == {}
        assert not doomed.folder.exists()
        assert command("down", doomed.folder).returncode == 0


def test_down_touches_no_folder_that_is_not_its_own(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    refused = command("down", tmp_path)
    assert refused.returncode == 2
    assert "holds no test cluster" in refused.stderr
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_up_refuses_a_folder_too_long_for_sockets(tmp_path):
    refused = command("up", tmp_path / ("long" * 30))
    assert refused.returncode == 2
    assert "name a shorter folder" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_job_of_a_lost_node_runs_again_elsewhere(struck):
    other, job, lost, out = struck
    wait_until(
        lambda: len(out.read_text().split()) == 2, seconds=70, otherwise=lambda: (out.read_text(), other.jobs(job), other.nodes())
    )
    first, second = out.read_text().split()
    assert (first, second) == (lost, {"n1": "n2", "n2": "n1"}[lost])
    assert other.nodes()[lost] == "down*"
    assert [found.restarts for found in other.jobs(job)] == [1]
    other.fault("start-node", lost)
    assert other.nodes()[lost] == "idle"


def _pids(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (folder / "run").glob("*.pid")}


def _processes_of(folder: Path) -> dict[int, str]:
    """Live processes that name the folder in their environment or command line, or have a file open in it.

    Our own child is none of the cluster's: it waits to take the cluster down, should we be killed.
    """
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return {pid: told for pid in pids if str(folder) in (told := _told_by(pid)) and _parent(pid) != os.getpid()}


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
    except OSError:  # it has ended
        return None


def _told_by(pid: int) -> str:
    try:
        process = Path(f"/proc/{pid}")
        texts = [(process / name).read_bytes().decode(errors="replace") for name in ("cmdline", "environ")]
        return " ".join([*texts, *(str(entry.readlink()) for entry in (process / "fd").iterdir())])
    except OSError:  # it has ended, or is another user's
        return ""
