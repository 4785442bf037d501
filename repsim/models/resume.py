"""Owns resume files: all that a training needs to go on to exactly the weights it would have had without a break.

Written between two steps, whole or not at all, read as data. A file that is damaged, or of another training, is left aside
with a warning, and training starts anew: it can cost time, never a result.
"""

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from repsim.errors import InputError
from repsim.models import tensorfile
from repsim.models.course import Course
from repsim.models.curves import Curve

FORMAT = 1  # raised when what is written changes, or what it would lead to
EVERY_S = 20.0
SHARE = 0.02  # of the time, spent on writing, at most
STANDING = ("epoch", "step", "seconds", "images")


@dataclass
class Resume:
    """The resume file of a training of the runs `ids` at `path`."""

    path: Path
    ids: Sequence[str]
    clock: Callable[[], float] = time.monotonic
    due_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.due_at = self.clock() + EVERY_S

    @property
    def due(self) -> bool:
        """Whether it is time to write again."""
        return self.clock() >= self.due_at

    def save(self, course: Course) -> None:
        """Write where `course` stands; called between two steps."""
        begun = self.clock()
        tensorfile.publish({"key": self._key(course), "state": _state(course)}, self.path)
        self.due_at = self.clock() + max(EVERY_S, (self.clock() - begun) / SHARE)

    def load(self, course: Course) -> bool:
        """Bring a new `course` to where it stood; False, and nothing changed, where no file of its own is there."""
        if not self.path.is_file():
            return False
        try:
            data = tensorfile.read(self.path)
            tensorfile.check_sums(self.path, do="")
            _restore(course, self._checked(data, course))
        except InputError as error:
            warnings.warn(f"{self.path}: {error.what}; training starts anew", stacklevel=2)
            return False
        return True

    def _key(self, course: Course) -> dict[str, Any]:
        recipe = {name: repr(value) for name, value in asdict(course.recipe).items()}
        numbers = [course.steps_per_epoch, course.total, *course.seeds]
        return {"format": FORMAT, "ids": list(self.ids), "recipe": recipe, "numbers": numbers, "device": course.device.type}

    def _checked(self, data: Any, course: Course) -> dict[str, Any]:
        if not isinstance(data, dict) or data.keys() != {"key", "state"} or data["key"] != self._key(course):
            raise InputError("is of another training")
        state, wanted = data["state"], _state(course)
        for part in ("tensors", "average"):
            if {k: v.shape for k, v in state[part].items()} != {k: v.shape for k, v in wanted[part].items()}:
                raise InputError("is of another network")
        return state


def _state(course: Course) -> dict[str, Any]:
    average = course.average
    return {
        "tensors": _detached(course.learner.tensors),
        "optimizer": course.optimizer.state_dict(),
        "average": _detached(average.tensors) if average else {},
        "taken": average.taken if average else 0,
        "starts": course.starts,
        "losses": torch.stack(course.losses) if course.losses else None,
        "curves": [curve.plain() for curve in course.curves],
        **{name: getattr(course, name) for name in STANDING},
    }


@torch.no_grad()
def _restore(course: Course, state: dict[str, Any]) -> None:
    course.optimizer.load_state_dict(state["optimizer"])
    _copy(state["tensors"], course.learner.tensors)
    if course.average:
        _copy(state["average"], course.average.tensors)
        course.average.taken = state["taken"]
    course.starts = state["starts"]
    for generator, start in zip(course.generators, course.starts, strict=True):
        generator.set_state(start)
    course.losses = list(state["losses"].to(course.device)) if state["losses"] is not None else []
    course.curves = [Curve.of(curve) for curve in state["curves"]]
    for name in STANDING:
        setattr(course, name, state[name])


def _detached(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.detach() for name, value in tensors.items()}


def _copy(source: dict[str, torch.Tensor], target: dict[str, torch.Tensor]) -> None:
    for name, value in target.items():
        value.copy_(source[name])
