"""Owns that an array is sent exactly once, though the answer of sbatch is lost, late, or never comes.

A submission is written before sbatch is called, and its name is the name of the job. Where no answer comes, its own files and the
queue are asked for that name. It is given up only after it was marked `withdrawn`, which every task of it reads before anything
else: should Slurm take it after all, it computes nothing. What is sent in its place has another name.
"""

import re
import time
from collections.abc import Callable, Sequence

from repsim import cluster
from repsim.errors import ClusterError
from repsim.sbatch import Busy, Refused, Unanswered
from repsim.submission import Submission

LOOKS_S = (0.0, 2.0, 5.0, 10.0, 20.0)
"""Pauses before each look at the queue where nobody knows whether Slurm took an array."""
PAUSES_S = (5.0, 15.0, 45.0)
"""Pauses before it is tried again."""
GRACE_S = 3600.0
"""How long the queue is asked for a withdrawn array, which a slow controller may take yet."""


def send(record: Callable[[], Submission], deliver: Callable[[Submission], str], tell: Callable[[str], None]) -> Submission:
    """Have an array taken; its submission, which knows the job id. `record` writes a new submission, `deliver` calls sbatch.

    Raises Refused, or ClusterError where the queue cannot be asked either; then the next submit finds out.
    """
    for pause in (*PAUSES_S, None):
        one = record()
        try:
            one.mark_sent(job_id=deliver(one))
            return one
        except ClusterError as error:
            looks = LOOKS_S if isinstance(error, Unanswered) else LOOKS_S[:1]
            if settled(one, looks):
                return one
            if pause is None or not isinstance(error, Busy | Unanswered):
                raise _refusal(error) from None
            tell(f"{error.what}; trying again in {pause:.0f} s")
            time.sleep(pause)
    raise AssertionError("the last try returns or raises")


def settled(one: Submission, looks: tuple[float, ...] = LOOKS_S[:1]) -> bool:
    """Find out whether Slurm took it: if so its job id is noted, else it is withdrawn. ClusterError if nobody can be asked."""
    for pause in looks:
        time.sleep(pause)
        if adopted(one):
            return True
    one.withdraw()
    if not adopted(one):  # a task that began before the mark is seen by this last look
        for call in one.slurm.glob("*.pkl"):
            call.unlink()
        return False
    one.withdraw(False)
    return True


def late(one: Submission, mine: list[cluster.Task]) -> None:
    """A withdrawn submission: cancel what Slurm took after all; forget it when nothing came within the time of grace."""
    alive = [task.element for task in mine if task.state in cluster.ALIVE]
    if alive:
        cluster.cancel(alive)
    elif time.time() - one.withdrawn > GRACE_S:
        one.close()


def adopted(one: Submission, seen: Sequence[cluster.Task] = ()) -> bool:
    """Whether Slurm has it, as its files, the tasks that were `seen`, or else the queue say; its job id is noted."""
    job = _of_files(one) or next((task.job for task in seen or cluster.queue([one.name])), None)
    if job:
        one.mark_sent(job_id=job)
    return bool(job)


def _of_files(one: Submission) -> str | None:
    """The job id that a task left when it began, though Slurm may have forgotten it by now."""
    names = (re.match(r"(\d+)(_\d+)?_submitted\.pkl$", file.name) for file in one.slurm.glob("*_submitted.pkl"))
    return next((name[1] for name in names if name), None)


def _refusal(error: ClusterError) -> ClusterError:
    """An array that was withdrawn was not taken, whatever sbatch said."""
    return error if isinstance(error, Refused) else Busy(error.what, do="nothing of this array was sent; try again later")
