"""Owns the file in which the training of a group stands between two epochs, so that it goes on to exactly the same stitchers.

Written whole or not at all, read as data. A file that is damaged, or of another group, is left aside with a warning, and the
group starts anew: it can cost time, never a result.
"""

import copy
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from repsim.errors import InputError
from repsim.models import tensorfile
from repsim.models.resume import EVERY_S, SHARE
from repsim.stitching.evaluation import Entry, Score
from repsim.stitching.feeding import Order
from repsim.stitching.optimizers import Optimizers
from repsim.stitching.runs import Run
from repsim.stitching.stitcher import Stitcher

FORMAT = 1  # raised when what is written changes, or what it would lead to
COUNTS = ("diverged", "epochs_run", "steps", "train_loss", "selected_epoch", "curve")


@dataclass
class Resume:
    """The resume file of a group at `path`; `key` tells it from every other. `spent` are the seconds of earlier attempts."""

    path: Path
    key: Sequence[str]
    order: Order
    clock: Callable[[], float] = time.monotonic
    every_s: float = EVERY_S
    spent: float = 0.0
    begun: float = field(init=False)
    due_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.begun = self.clock()
        self.due_at = self.begun + self.every_s

    def epoch_ended(self, epoch: int, runs: Sequence[Run], optimizers: Optimizers) -> None:
        """Write where the group stands, `epoch` epochs done, if the last time is long ago."""
        now = self.clock()
        if now < self.due_at:
            return
        seconds = self.spent + now - self.begun
        state = {"epoch": epoch, "seconds": seconds, "order": self.order.state(), "optimizers": optimizers.state()}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        tensorfile.publish({"key": self._key(), "state": {**state, "runs": [_state(run) for run in runs]}}, self.path)
        self.due_at = self.clock() + max(self.every_s, (self.clock() - now) / SHARE)

    def load(self, runs: Sequence[Run], optimizers: Optimizers) -> int:
        """Bring `runs`, as they start, to where they stood; the epochs done by then, 0 where no file of their own is there."""
        if not self.path.is_file():
            return 0
        try:
            state = self._checked(tensorfile.read(self.path), runs)
        except InputError as error:
            warnings.warn(f"{self.path}: {error.what}; the group starts anew", stacklevel=2)
            return 0
        for run, saved in zip(runs, state["runs"], strict=True):
            _restore(run, saved)
        optimizers.restore(state["optimizers"])
        self.order.restore(state["order"], state["epoch"])
        self.spent = state["seconds"]
        return state["epoch"]

    def remove(self) -> None:
        """The group is done: take the file away, and its folder where nothing else is kept in it."""
        if self.path.parent.is_dir():
            tensorfile.remove(self.path)
            with suppress(OSError):
                self.path.parent.rmdir()

    def _key(self) -> dict[str, Any]:
        return {"format": FORMAT, "runs": list(self.key)}

    def _checked(self, data: Any, runs: Sequence[Run]) -> dict[str, Any]:
        if not isinstance(data, dict) or data.keys() != {"key", "state"} or data["key"] != self._key():
            raise InputError("is of another group")
        tensorfile.check_sums(self.path, do="")
        found = [_shapes(saved["stitcher"]) for saved in data["state"]["runs"]]
        if found != [_shapes(_values(run.stitcher)) for run in runs]:
            raise InputError("is of other stitchers")
        return data["state"]


def _state(run: Run) -> dict[str, Any]:
    best = run.best and {"stitcher": _values(run.best.stitcher), "statistics": run.best.statistics}
    judged = run.judged and (run.judged.accuracy, run.judged.loss)
    counts = {name: getattr(run, name) for name in COUNTS}
    return {"stitcher": _values(run.stitcher), "statistics": run.statistics, "best": best, "judged": judged, "counts": counts}


def _restore(run: Run, saved: dict[str, Any]) -> None:
    if saved["best"] is not None:
        stitcher = copy.deepcopy(run.stitcher)
        _fill(stitcher, saved["best"]["stitcher"])
        run.best = Entry(run.front_layer, run.end_layer, stitcher, _placed(saved["best"]["statistics"], stitcher))
    _fill(run.stitcher, saved["stitcher"])
    run.statistics = _placed(saved["statistics"], run.stitcher)
    run.judged = saved["judged"] and Score(*saved["judged"])
    for name in COUNTS:
        setattr(run, name, saved["counts"][name])


def _values(stitcher: Stitcher) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in stitcher.named_parameters()}


def _fill(stitcher: Stitcher, values: dict[str, Tensor]) -> None:
    for name, value in stitcher.named_parameters():
        value.data.copy_(values[name])


def _placed(statistics: dict[str, tuple[Tensor, Tensor]] | None, stitcher: Stitcher) -> dict[str, tuple[Tensor, Tensor]] | None:
    """On the device of the stitcher."""
    device = next(stitcher.parameters()).device
    return statistics and {name: (mean.to(device), variance.to(device)) for name, (mean, variance) in statistics.items()}


def _shapes(values: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in values.items()}
