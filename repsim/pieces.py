"""Owns cutting a plan into arrays: stage by stage, over the targets of the profile, no longer than the cluster allows. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from repsim import shares
from repsim.limits import Limits
from repsim.plan import Group, Stage
from repsim.profile import Profile

Tasks = tuple[tuple[Group, ...], ...]


@dataclass(frozen=True)
class Piece:
    """One array to be: tasks of a stage, the part of the profile that computes them, and the most that its pool runs at once."""

    stage: str
    tasks: Tasks
    part: Profile
    most: int

    @property
    def runs(self) -> int:
        return sum(len(group.runs) for task in self.tasks for group in task)

    @property
    def inputs(self) -> set[str]:
        """Networks that its runs read."""
        return {i for task in self.tasks for group in task for run in group.runs for i in run.inputs}


def cut(
    stages: Sequence[Stage], profile: Profile, limits: Limits, speed: Callable[[Profile], float] = lambda part: 1.0
) -> tuple[list[Piece], int]:
    """The arrays, and how many tasks are left out as Slurm takes no more now. `speed` compares the cards of targets."""
    room, found, left = limits.room, [], 0
    for stage in stages:
        fitting = stage.tasks[: int(min(room, len(stage.tasks)))]
        room, left = room - len(fitting), left + len(stage.tasks) - len(fitting)
        found += _pieces(Stage(stage.name, fitting), profile.parts, limits.array, speed)
    return found, left


def _pieces(stage: Stage, parts: Sequence[Profile], size: int, speed: Callable[[Profile], float]) -> Iterator[Piece]:
    lengths = [sum(group.seconds for group in task) for task in stage.tasks]
    homes = shares.dealt(lengths, [part.max_parallel * speed(part) for part in parts])
    for place, part in enumerate(parts):
        mine = tuple(task for task, home in zip(stage.tasks, homes, strict=True) if home == place)
        yield from (Piece(stage.name, mine[i : i + size], part, part.max_parallel) for i in range(0, len(mine), size))
