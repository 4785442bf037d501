"""Owns the life of a cluster: up, down, status."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import daemons
import database
import settings
from cluster import Cluster, Refused, load, plan, save
from processes import kill_at_once, of_jobs, pid_of

PLANNED = ("idle", "mixed", "allocated")  # a node in these states takes jobs; `*` behind them: it does not answer


def up(folder: Path, nodes: int, gpus: int, accounting: bool) -> Cluster:
    """Start a cluster in `folder`, or find it there alive; what died there before is cleared away first.

    Raises:
        Refused: the folder, the names or the numbers cannot be used.
        Failed: a daemon did not start; nothing of the cluster is left.
    """
    if gone := daemons.missing(accounting):
        raise Refused(f"not installed: {', '.join(gone)}; run slurm/testcluster/install{' --accounting' if accounting else ''}")
    with held(folder):
        if (there := load(folder)) and is_alive(there):
            say(f"already up in {folder}: {there.nodes} nodes with {there.gpus} GPUs each")
            return there
        if there:
            say(f"clearing away what is left of a dead cluster in {folder}")
            _clear(there)
        cluster = plan(folder, nodes, gpus, accounting)
        return _start(cluster)


def down(folder: Path) -> bool:
    """Stop the cluster in `folder` and remove the folder; False when there is none. Afterwards no process is left."""
    if not folder.exists():
        return False
    with held(folder):
        cluster = load(folder)
        if cluster is None:
            return False
        _clear(cluster)
        folder.rmdir()
        return True


def status(cluster: Cluster) -> str:
    """Daemons with their process ids; if the controller is alive also its nodes and a count of jobs by state."""
    pids = {name: pid_of(cluster, name) for name in daemons.names(cluster)}
    lines = [f"{name:<12} {f'alive, pid {pid}' if pid else 'dead'}" for name, pid in pids.items()]
    if pids["slurmctld"] and pids["munged"]:
        nodes = daemons.ask(cluster, "sinfo", "-N", "-o", "%8N %12P %12T %G")
        jobs = daemons.ask(cluster, "squeue", "-h", "-r", "-t", "all", "-o", "%T").split()
        counts = ", ".join(f"{jobs.count(state)} {state}" for state in sorted(set(jobs)))
        lines += ["", nodes.rstrip(), "", f"jobs: {counts or 'none'}"]
    return "\n".join(lines)


def is_alive(cluster: Cluster) -> bool:
    return all(pid_of(cluster, name) for name in ("munged", "slurmctld"))


def node_states(cluster: Cluster) -> dict[str, str]:
    """Node → state in small letters, such as `idle`, `mixed`, `down*`."""
    lines = daemons.ask(cluster, "sinfo", "-h", "-N", "-o", "%N %T").splitlines()
    return dict(line.split() for line in lines)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """One `up` or `down` at a time in a folder: the folder itself is the lock, so nothing is left behind.

    An empty folder that we made for it is removed when nothing came to live in it.
    """
    made = not folder.exists()
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700, parents=True)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
        if made:
            with suppress(OSError):
                folder.rmdir()


def _start(cluster: Cluster) -> Cluster:
    begun = time.monotonic()
    save(cluster)
    try:
        _write(cluster)
        daemons.start(cluster, "munged")
        if cluster.accounting:
            database.start(cluster)
        for daemon in ["slurmctld", *(f"slurmd.{node}" for node in cluster.node_names)]:
            daemons.start(cluster, daemon)
        _wait_until_idle(cluster)
    except BaseException:
        _clear(cluster)
        raise
    say(f"up in {cluster.folder}: {cluster.nodes} nodes with {cluster.gpus} GPUs each, after {time.monotonic() - begun:.1f} s")
    return cluster


def _write(cluster: Cluster) -> None:
    cluster.folder.chmod(0o700)
    for name in ("etc", "run", "log", "state", *(f"spool/{node}" for node in cluster.node_names)):
        (cluster.folder / name).mkdir(parents=True)
    for name, text in settings.files(cluster, daemons.slurm_version()).items():
        _write_private(cluster.folder / "etc" / name, text.encode())
    _write_private(cluster.folder / "etc" / "munge.key", secrets.token_bytes(128))


def _write_private(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


def _wait_until_idle(cluster: Cluster, seconds: float = 30) -> None:
    """slurmctld and slurmd go to the background before they check their settings, so they can still die here."""
    end = time.monotonic() + seconds
    while True:
        if dead := [name for name in daemons.names(cluster) if pid_of(cluster, name) is None]:
            logs = "\n".join(daemons.tail(cluster, name) for name in dead)
            raise daemons.Failed(f"{', '.join(dead)} died\n{logs}")
        states = node_states(cluster)
        if set(states.values()) == {"idle"}:
            return
        if time.monotonic() > end:
            raise daemons.Failed(f"not all nodes are idle after {seconds} s: {states}\n{daemons.tail(cluster, 'slurmctld')}")
        time.sleep(0.05)


def _clear(cluster: Cluster) -> None:
    """Jobs first, then the daemons in the reverse order of their start, then every process left, then the files."""
    if is_alive(cluster):
        _cancel_all(cluster)
    for daemon in reversed(daemons.names(cluster)):
        daemons.stop(cluster, daemon)
    if not kill_at_once(lambda: of_jobs(cluster)):
        raise daemons.Failed(f"processes {sorted(of_jobs(cluster))} cannot be killed")
    for entry in cluster.folder.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _cancel_all(cluster: Cluster) -> None:
    """Pending ones first, so that none starts in a place that became free. A silent controller is no reason to stay up."""
    try:
        for state in ("PENDING", "RUNNING", "SUSPENDED"):
            daemons.ask(cluster, "scancel", f"--state={state}", "--quiet")
    except daemons.Failed as error:
        say(f"jobs are killed, not cancelled: {error}")
