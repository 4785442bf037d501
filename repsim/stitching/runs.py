"""Owns one run of a group: what is trained and how, what it has learned so far, and which epoch is kept."""

import copy
import math
from dataclasses import dataclass
from typing import Literal

from repsim.stitching.evaluation import Entry, Score
from repsim.stitching.stitchers import Stitcher

Select = Literal["last", "validation"]


@dataclass(frozen=True)
class Training:
    """How a stitcher is trained; 0 epochs leave it as it starts. Weight decay spares stitchers that say so."""

    epochs: int = 0
    optimizer: Literal["adam", "sgd"] = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0
    momentum: float = 0.0


@dataclass(eq=False)
class Run:
    """One stitcher of a group, from its start to its last epoch.

    `select` names the epoch to keep: the last, or the best on the validation split (by accuracy, then by loss; the
    earliest of equals). The start is epoch 0; it is kept only where nothing is trained.
    """

    key: str
    front_layer: str
    end_layer: str
    stitcher: Stitcher
    training: Training
    select: Select = "last"
    diverged: bool = False
    epochs_run: int = 0
    train_loss: float | None = None
    selected_epoch: int = 0
    validation: Score | None = None
    best: Stitcher | None = None

    @property
    def selected(self) -> Stitcher:
        """The stitcher of the selected epoch."""
        return self.stitcher if self.best is None else self.best

    def wants(self, epoch: int) -> bool:
        """Whether epoch `epoch` (from 0) trains this run."""
        return epoch < self.training.epochs and not self.diverged

    def finish_epoch(self, loss: float) -> None:
        """Note an epoch and its mean training loss; a loss or a weight that is not finite ends the run."""
        self.epochs_run += 1
        self.train_loss = loss
        finite = all(bool(parameter.isfinite().all()) for parameter in self.stitcher.parameters())
        self.diverged = not (finite and math.isfinite(loss))
        if self.select == "last":
            self.selected_epoch = self.epochs_run

    def wants_validation(self) -> bool:
        """Whether the validation score of this epoch is used: to select, or at the end."""
        return not self.diverged and (self.select == "validation" or self.epochs_run == self.training.epochs)

    def validated(self, score: Score) -> None:
        """Note a validation score; keep a copy of the stitcher if it is selected by it."""
        if self.select == "last":
            self.validation = score
        elif self.validation is None or (score.accuracy, -score.loss) > (self.validation.accuracy, -self.validation.loss):
            self.validation, self.selected_epoch = score, self.epochs_run
            self.best = copy.deepcopy(self.stitcher)


def entry(run: Run, stitcher: Stitcher) -> Entry:
    """`stitcher` at the place of `run`, to be measured."""
    return Entry(run.front_layer, run.end_layer, stitcher)
