"""Owns the faults that real clusters have and a test must be able to make: lost nodes, a lost controller."""

from __future__ import annotations

import daemons
from cluster import Cluster, Refused
from lifecycle import PLANNED, node_states
from processes import kill, kill_at_once, of_jobs, pid_of, wait_until


def kill_node(cluster: Cluster, node: str) -> str:
    """Power loss: slurmd, its slurmstepds and all that the jobs started there die at once."""
    if not _of_node(cluster, node):
        raise Refused(f"{node} is dead already")
    kill_at_once(lambda: _of_node(cluster, node))
    return f"{node} has lost its power; Slurm notices in about 45 s"


def lose_slurmd(cluster: Cluster, node: str) -> str:
    """The node falls off the network: slurmd dies, its jobs run on."""
    _kill(cluster, f"slurmd.{node}")
    return f"{node} has lost its slurmd, its jobs run on; Slurm notices in about 45 s"


def start_node(cluster: Cluster, node: str) -> str:
    """Bring it back and wait until it takes jobs."""
    if pid_of(cluster, f"slurmd.{node}"):
        return f"{node} is up already"
    daemons.start(cluster, f"slurmd.{node}")
    if not wait_until(lambda: node_states(cluster)[node] in PLANNED, seconds=30):
        raise daemons.Failed(f"{node} is {node_states(cluster)[node]}\n{daemons.tail(cluster, f'slurmd.{node}')}")
    return f"{node} is up"


def kill_controller(cluster: Cluster) -> str:
    """slurmctld crashes; jobs run on, every client command waits 9 s and fails."""
    _kill(cluster, "slurmctld")
    return "slurmctld is dead"


def start_controller(cluster: Cluster) -> str:
    """Bring it back and wait until it answers."""
    if pid_of(cluster, "slurmctld"):
        return "slurmctld is up already"
    daemons.start(cluster, "slurmctld")
    daemons.ask(cluster, "squeue", timeout_s=30)
    return "slurmctld is up"


def _of_node(cluster: Cluster, node: str) -> set[int]:
    slurmd = pid_of(cluster, f"slurmd.{node}")
    return of_jobs(cluster, node) | ({slurmd} if slurmd else set())


def _kill(cluster: Cluster, daemon: str) -> None:
    pid = pid_of(cluster, daemon)
    if pid is None:
        raise Refused(f"{daemon} is dead already")
    kill([pid])
    wait_until(lambda: pid_of(cluster, daemon) is None, seconds=5)


OF_NODES = {"kill-node": kill_node, "lose-slurmd": lose_slurmd, "start-node": start_node}
OF_CONTROLLER = {"kill-controller": kill_controller, "start-controller": start_controller}
