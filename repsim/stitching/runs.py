"""Owns one run of a group: what is trained and how, what it has learned so far, and which epoch is kept."""

import copy
import math
from dataclasses import dataclass, field
from typing import Any, Literal

from repsim.stitching.batchnorm import Statistics
from repsim.stitching.evaluation import Entry, Score
from repsim.stitching.schedules import SCHEDULES
from repsim.stitching.stitchers import Stitcher
from repsim.stitching.targets import Objective

Select = Literal["last", "validation", "test_best"]


@dataclass(frozen=True)
class Training:
    """How a stitcher is trained; 0 epochs leave it as it starts. Weight decay spares stitchers that say so."""

    epochs: int = 0
    optimizer: Literal["adam", "sgd"] = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0
    momentum: float = 0.0
    schedule: str = "constant"

    def lr_at(self, epoch: int) -> float:
        """Learning rate of epoch `epoch` (from 0)."""
        return self.lr * SCHEDULES[self.schedule](epoch, self.epochs)


@dataclass(eq=False)
class Run:
    """One stitcher of a group, from its start to its last epoch.

    `select` names the epoch to keep: the last, or the best on the validation split or, as the paper of system C did,
    on the test split (by accuracy, then by loss; the earliest of equals). The start is epoch 0; it is kept only where
    nothing is trained. `statistics` are batch-norm statistics of its own, trained along (None: g's).
    """

    key: str
    front_layer: str
    end_layer: str
    stitcher: Stitcher
    training: Training
    select: Select = "last"
    objective: Objective = field(default_factory=Objective)
    statistics: Statistics | None = None
    diverged: bool = False
    epochs_run: int = 0
    steps: int = 0
    train_loss: float | None = None
    selected_epoch: int = 0
    judged: Score | None = None
    best: Entry | None = None
    curve: list[dict[str, Any]] = field(default_factory=list)

    @property
    def also(self) -> tuple[str, ...]:
        """Layers behind the cut whose values the objective compares."""
        return self.objective.also

    @property
    def needs_suffix(self) -> bool:
        """Whether training runs anything behind the cut."""
        return self.objective.needs_suffix

    @property
    def now(self) -> Entry:
        """The stitcher as it is, to be measured."""
        return Entry(self.front_layer, self.end_layer, self.stitcher, self.statistics)

    @property
    def selected(self) -> Entry:
        """The stitcher of the selected epoch."""
        return self.now if self.best is None else self.best

    @property
    def validation(self) -> Score | None:
        """The score on the validation split of the epoch that counts."""
        return None if self.select == "test_best" else self.judged

    def wants(self, epoch: int) -> bool:
        """Whether epoch `epoch` (from 0) trains this run."""
        return epoch < self.training.epochs and not self.diverged

    def finish_epoch(self, loss: float) -> None:
        """Note an epoch and its mean training loss; a loss or a weight that is not finite ends the run."""
        self.epochs_run += 1
        self.train_loss = loss
        self.curve.append({"epoch": self.epochs_run, "train_loss": loss})
        finite = all(bool(parameter.isfinite().all()) for parameter in self.stitcher.parameters())
        self.diverged = not (finite and math.isfinite(loss))
        if self.select == "last":
            self.selected_epoch = self.epochs_run

    def wants_judgement(self) -> bool:
        """Whether a score of this epoch is used: to select, or at the end."""
        return not self.diverged and (self.select != "last" or self.epochs_run == self.training.epochs)

    def judge(self, score: Score) -> None:
        """Note the score of this epoch; keep a copy of the stitcher if it is selected by it."""
        split = "test" if self.select == "test_best" else "validation"
        if self.curve:
            self.curve[-1] |= {f"{split}_accuracy": score.accuracy, f"{split}_loss": score.loss}
        if self.select == "last":
            self.judged = score
        elif self.judged is None or score.better_than(self.judged):
            self.judged, self.selected_epoch = score, self.epochs_run
            self.best = copy.deepcopy(self.now)
