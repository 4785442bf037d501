"""Owns which nodes are bad: faults that attempts and Slurm left on record in the last day, and how submissions avoid them."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from repsim import cluster, progress
from repsim.accounting import Endings
from repsim.cause import Cause, of_slurm
from repsim.profile import Profile
from repsim.progress import Span
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
    gpu: str | None = None


def faults(known: Iterable[Submission], now: float | None = None, endings: Endings = MappingProxyType({})) -> list[Fault]:
    """Faults of the last 24 hours, oldest first; `endings` are what accounting knows of attempts that Slurm requeued."""
    now = time.time() if now is None else now
    found = [fault for one in known for fault in _faults(one, endings)]
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


def _faults(one: Submission, endings: Endings) -> Iterator[Fault]:
    """CUDA faults as the attempts say; lost nodes as accounting says, and without it as far as can be told."""
    for task, spans in _by_task(one).items():
        said = endings.get((one.name, task), ())
        for span, after in zip(spans, [*spans[1:], None], strict=True):
            if span.cause == Cause.CUDA_FAULT and span.host:
                yield Fault(span.host, Cause.CUDA_FAULT, span.end or span.start, one.name, task, span.message or "", span.gpu)
            elif not said and span.end is None and span.host and (why := _lost(one, span, after)):
                yield Fault(span.host, Cause.NODE_FAIL, span.start + span.seconds, one.name, task, why, span.gpu)
        lost = (end for end in said if end.node and of_slurm(end.state) is Cause.NODE_FAIL)
        yield from (Fault(end.node, Cause.NODE_FAIL, end.at, one.name, task, "Slurm lost the node") for end in lost)


def _lost(one: Submission, span: Span, after: Span | None) -> str | None:
    """Why a group without an end speaks against its node: what Slurm said last, or that it began the task again elsewhere."""
    if after is None:
        return "Slurm lost the node" if of_slurm(one.ended.get(span.task)) is Cause.NODE_FAIL else None
    return f"a group had no end, and Slurm began the task again on {after.host}" if after.host not in (None, span.host) else None


def _by_task(one: Submission) -> dict[int, list[Span]]:
    found: dict[int, list[Span]] = {}
    for span in progress.spans(one):
        found.setdefault(span.task, []).append(span)
    return found
