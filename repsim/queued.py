"""Owns the queue as people are shown it: as squeue showed it lately, whichever command asked, never empty for want of an answer.

What changes something (`submit`, `retry`, `cancel`) asks Slurm itself, by `repsim.reconcile.queue`.
"""

import time
from collections.abc import Callable, Sequence

from repsim import answers, cluster, submission
from repsim.cluster import UNKNOWN, Task
from repsim.errors import ClusterError
from repsim.project import Project
from repsim.submission import Submission

EVERY_S = 30.0
PATIENCE_S = 20.0  # who only looks waits no longer; without a controller squeue itself gives up after 9 s
NAME = "queue"


class Queue:
    """The tasks of every submission that may be alive, as they were at most `every` seconds ago.

    Where Slurm does not answer they are as they were before that, and `unknown` says why; a task that was never seen has the
    state UNKNOWN, since nobody can say that it is gone. `asked` is when squeue gave what was shown last (seconds since 1970).
    """

    def __init__(self, project: Project, every: float = EVERY_S, clock: Callable[[], float] = time.time):
        self._project, self._every, self._clock = project, every, clock
        self._tried = -float("inf")
        self.asked: float | None = None
        self.unknown: str | None = None

    def __call__(self) -> list[Task]:
        """One question at most, and none where a kept answer is fresh."""
        mine = [one for one in submission.every(self._project.submissions) if not one.closed and "pid" not in (one.sent or {})]
        answer = answers.kept(self._project.cache, NAME)
        now = self._clock()
        if not _is_fresh(answer, mine, now - self._every) and now - self._tried >= self._every:
            answer = self._ask(mine, answer)
        self.asked = answer.get("at")
        return _tasks(answer, mine)

    def _ask(self, mine: Sequence[Submission], before: dict) -> dict:
        now = self._clock()
        try:
            found = cluster.queue([one.name for one in mine], PATIENCE_S)
        except ClusterError as error:
            self.unknown = str(error)
            return before
        finally:
            self._tried = self._clock()  # when it was over: a question that took long is not asked again at once
        self.unknown = None
        rows = [[task.name, task.index, task.state, task.reason, task.node, task.element] for task in found]
        answer = {"at": now, "names": [one.name for one in mine], "tasks": rows}
        answers.keep(self._project.cache, NAME, answer)
        return answer


def forget(project: Project) -> None:
    """The queue was changed: who wants to see it must ask."""
    answers.forget(project.cache, NAME)


def _is_fresh(answer: dict, mine: Sequence[Submission], oldest: float) -> bool:
    """Whether an answer is no older than that, and asked after each of the submissions was sent."""
    at, names = answer.get("at", -float("inf")), set(answer.get("names", ()))
    return at > oldest and all(one.name in names and (one.sent or {}).get("at", float("inf")) <= at for one in mine)


def _tasks(answer: dict, mine: Sequence[Submission]) -> list[Task]:
    """What the answer says of these submissions; of one that it does not know, that nothing is known."""
    names, at = set(answer.get("names", ())), answer.get("at", 0.0)
    known = {one.name for one in mine if one.name in names}
    seen = [Task(*row, asked=at) for row in answer.get("tasks", ()) if row[0] in known]
    return seen + [task for one in mine if one.name not in known for task in _unknown(one)]


def _unknown(one: Submission) -> list[Task]:
    job, count = (one.sent or {}).get("job_id", "?"), len(one.outline)
    elements = [f"{job}_{index}" if count > 1 else job for index in range(count)]
    return [Task(one.name, index, UNKNOWN, "Slurm does not answer", "", element) for index, element in enumerate(elements)]
