"""Owns which nodes are bad: faults that attempts and Slurm left on record in the last day, and how submissions avoid them."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from repsim import cluster, progress
from repsim.cause import Cause, of_slurm
from repsim.profile import Profile
from repsim.submission import Submission

EXPIRES_S = 24 * 3600.0
LEAST = 2  # one fault may be bad luck
SHARE = 10  # of so many nodes of a partition at most one is avoided


@dataclass(frozen=True)
class Fault:
    """What happened on a node, and when (seconds since 1970)."""

    node: str
    cause: Cause
    at: float
    submission: str
    task: int
    message: str


def faults(known: Iterable[Submission], now: float | None = None) -> list[Fault]:
    """Faults of the last 24 hours, oldest first."""
    now = time.time() if now is None else now
    found = [fault for one in known for span in progress.spans(one) if (fault := _fault(one, span))]
    return sorted((fault for fault in found if now - fault.at < EXPIRES_S), key=lambda fault: fault.at)


def suspects(found: Iterable[Fault], least: int = LEAST) -> list[str]:
    """Nodes with at least so many faults, those with most first."""
    counts: dict[str, int] = {}
    for fault in found:
        counts[fault.node] = counts.get(fault.node, 0) + 1
    return sorted((node for node, count in counts.items() if count >= least), key=lambda node: (-counts[node], node))


def avoiding(profile: Profile, bad: Sequence[str]) -> Profile:
    """`profile` without the worst of the nodes `bad`: at most a tenth of its partition, whose size Slurm is asked."""
    if not bad:
        return profile
    named = [node for node in str(profile.slurm.get("exclude", "")).split(",") if node]
    most = cluster.partition_size(profile.partition) // SHARE
    left_out = dict.fromkeys([*named, *bad[:most]])
    return profile.model_copy(update={"slurm": {**profile.slurm, "exclude": ",".join(left_out)}}) if left_out else profile


def _fault(one: Submission, span: progress.Span) -> Fault | None:
    """A CUDA fault is what the attempt says; a lost node is what Slurm said last of a task that left a group without an end."""
    if span.host is None:
        return None
    if span.cause == Cause.CUDA_FAULT:
        return Fault(span.host, Cause.CUDA_FAULT, span.end or span.start, one.name, span.task, span.message or "")
    if span.end is None and of_slurm(one.ended.get(span.task)) is Cause.NODE_FAIL:
        return Fault(span.host, Cause.NODE_FAIL, span.start + span.seconds, one.name, span.task, "Slurm lost the node")
    return None
