"""Owns how many tasks of a project run at once: the arrays of one pool of cards share its `max_parallel`, earlier ones too."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from repsim import cluster, shares
from repsim.submission import Submission

Ask = Callable[[], Iterable[cluster.Task]]
"""Asks Slurm for the tasks as they are now."""


@dataclass(frozen=True)
class Live:
    """An array that was sent earlier: Slurm's id, tasks that are not over, how many may run at once."""

    one: Submission
    job: str
    tasks: int
    parallel: int


def live(known: Iterable[Submission], tasks: Iterable[cluster.Task], pool: str) -> list[Live]:
    """The arrays of a pool that have tasks queued or running."""
    counts = Counter(task.job for task in tasks if task.state in cluster.ALIVE)
    sent = [(one, how) for one in known if not one.closed and (how := one.sent) and counts[str(how.get("job_id"))]]
    ours = ((one, {**one.plan, **how}) for one, how in sent if one.plan.get("pool") == pool)
    return [Live(one, how["job_id"], counts[how["job_id"]], how["parallel"]) for one, how in ours]


@dataclass(frozen=True)
class Room:
    """How many tasks of each new array may run at once, and elements of earlier arrays (as in 18_3) that must end before."""

    parallel: Sequence[int]
    after: tuple[str, ...] = ()


def share(earlier: Sequence[Live], sizes: Sequence[int], ceiling: int, ask: Ask, tell: Callable[[str], None]) -> Room:
    """The room of new arrays of these sizes; the shares of earlier ones are set anew, where Slurm lets us.

    An array whose share shrinks may run more than that for now: the new ones wait for what is too much.
    """
    found = shares.shared([*(each.tasks for each in earlier), *sizes], ceiling)
    pairs = list(zip(earlier, found, strict=False))
    lowered = {each.job: parallel for each, parallel in pairs if _set(each, parallel, tell)}
    return Room(found[len(earlier) :], _surplus(ask(), lowered) if lowered else ())  # asked now: from here on it only falls


def _surplus(tasks: Iterable[cluster.Task], allowed: Mapping[str, int]) -> tuple[str, ...]:
    """Running elements beyond the shares of their arrays, those that began first."""
    running: dict[str, list[int]] = {job: [] for job in allowed}
    for task in tasks:
        if task.job in running and task.state in cluster.ALIVE - cluster.WAITING:
            running[task.job].append(task.index)
    return tuple(f"{job}_{index}" for job, found in running.items() for index in sorted(found)[: max(0, len(found) - allowed[job])])


def _set(each: Live, parallel: int, tell: Callable[[str], None]) -> bool:
    """Whether the share of an earlier array is less than it was."""
    before = min(each.parallel, each.tasks)
    if parallel == before:
        return False
    if not cluster.throttle(each.job, parallel):
        tell(f"job {each.job} keeps {each.parallel} tasks at once, as Slurm will not change it: max_parallel may be exceeded")
        return False
    each.one.add_to_sent(parallel=parallel)
    return parallel < before
