"""Owns how many tasks of a project run at once: the arrays of one pool of cards share its `max_parallel`, earlier ones too."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from repsim import cluster, shares
from repsim.submission import Submission


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


def share(earlier: Sequence[Live], sizes: Sequence[int], ceiling: int, tell: Callable[[str], None]) -> list[int]:
    """The share of each new array; those of earlier ones are set anew, where Slurm lets us."""
    found = shares.shared([*(each.tasks for each in earlier), *sizes], ceiling)
    for each, parallel in zip(earlier, found, strict=False):
        if parallel == min(each.parallel, each.tasks):
            continue
        if cluster.throttle(each.job, parallel):
            each.one.add_to_sent(parallel=parallel)
        else:
            tell(f"job {each.job} keeps {each.parallel} tasks at once, as Slurm will not change it: max_parallel may be exceeded")
    return found[len(earlier) :]
