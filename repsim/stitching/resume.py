"""Owns what is kept of a group of stitches between two epochs, so that it goes on to exactly the same stitchers."""

import copy
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from repsim.stitching.epochfile import EpochFile, State
from repsim.stitching.evaluation import Entry, Score
from repsim.stitching.optimizers import Optimizers
from repsim.stitching.runs import Run
from repsim.stitching.stitcher import Stitcher

COUNTS = ("diverged", "epochs_run", "steps", "train_loss", "selected_epoch", "curve")


class Resume(EpochFile):
    """The resume file of a group of stitches."""

    def epoch_ended(self, epoch: int, runs: Sequence[Run], optimizers: Optimizers) -> None:
        """Write where the group stands, `epoch` epochs done, if the last time is long ago."""
        self.keep(epoch, lambda: {"optimizers": optimizers.state(), "runs": [_state(run) for run in runs]})

    def load(self, runs: Sequence[Run], optimizers: Optimizers) -> int:
        """Bring `runs`, as they start, to where they stood; the epochs done by then, 0 where no file of their own is there."""
        state = self.read(lambda state: _fits(state, runs))
        if state is None:
            return 0
        for run, saved in zip(runs, state["runs"], strict=True):
            _restore(run, saved)
        optimizers.restore(state["optimizers"])
        return state["epoch"]


def _fits(state: State, runs: Sequence[Run]) -> bool:
    return [_shapes(saved["stitcher"]) for saved in state["runs"]] == [_shapes(_values(run.stitcher)) for run in runs]


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
