"""Owns one arm of a group: a matrix, the network behind it, how that is retrained, and which of its epochs counts."""

import math
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

from repsim.models import optimizers, recipes
from repsim.models.learner import Single
from repsim.models.recipes import Recipe
from repsim.models.switches import seed_layers, seed_of
from repsim.rotation import matrices
from repsim.rotation.inserted import Inputs, Inserted, Norms
from repsim.rotation.prefix import Prefix
from repsim.stitching.scores import Score

Start = Literal["trained", "fresh"]
Select = Literal["last", "validation"]


@dataclass(frozen=True)
class Asked:
    """What is inserted, and how the network behind it is retrained. Equal ones become one arm.

    Attributes:
        kind, matrix_seed, sigma: the matrix, as `matrices.draw` has them.
        start: weights of the network behind the layer: as they were trained, or new ones from `start_seed`.
        recipe: epochs, batches, optimizer, learning rate and its schedule, decay.
        norms: of batch norms behind the layer, as `inserted.Inserted` has them.
        select: the epoch that counts: the last, or the best on the validation images (by accuracy, then by loss).
    """

    kind: str
    matrix_seed: int
    sigma: float
    start: Start
    start_seed: int
    recipe: Recipe
    norms: Norms
    select: Select

    @property
    def control(self) -> "Asked":
        """The same retraining with nothing inserted."""
        return replace(self, kind="identity", matrix_seed=0, sigma=1.0)


@dataclass(eq=False)
class Arm:
    """One network behind one matrix, from its start to its last epoch; `best` are its values of the epoch that counts.

    `started` and `scored` are its scores on the test images, before it was retrained and of the epoch that counts.
    """

    asked: Asked
    network: Inserted
    matrix: Tensor | None
    shape: tuple[int, ...]  # of the layer's value
    steps_per_epoch: int
    seed: int  # of what layers such as dropout draw; the same for all arms of a group
    steps: int = 0
    epochs_run: int = 0
    diverged: bool = False
    train_loss: float | None = None
    selected_epoch: int = 0
    judged: Score | None = None
    best: dict[str, Tensor] | None = None
    curve: list[dict[str, float]] = field(default_factory=list)
    losses: list[Tensor] = field(default_factory=list)  # of the steps of this epoch, each times its images
    images: int = 0  # of this epoch
    started: Score | None = None
    scored: Score | None = None

    def __post_init__(self) -> None:
        self.learner = Single(self.network, self.asked.recipe)
        self.optimizer = optimizers.optimizer(self.learner, self.asked.recipe)

    def wants(self, epoch: int) -> bool:
        """Whether epoch `epoch` (from 0) trains this arm."""
        return epoch < self.asked.recipe.epochs and not self.diverged

    def learn(self, inputs: Inputs, y: Tensor) -> None:
        """One step in the mode that the network is in. What layers draw depends on the step alone: it is the same for all arms."""
        self.steps += 1
        recipe = self.asked.recipe
        optimizers.set_rate(self.optimizer, recipes.rate(recipe, (self.steps - 0.5) / self.steps_per_epoch))
        seed_layers(y.device, seed_of(self.seed, "layers", self.steps))
        loss = torch.nn.functional.cross_entropy(self.network(inputs), y)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.losses.append(loss.detach() * len(y))
        self.images += len(y)

    def finish_epoch(self) -> None:
        """Note the epoch and its mean loss; a loss, a weight or a running statistic that is not finite ends the arm."""
        self.epochs_run += 1
        self.train_loss = float(torch.stack(self.losses).cpu().double().sum()) / self.images
        self.losses, self.images = [], 0
        finite = all(bool(value.isfinite().all()) for value in self.network.values().values())
        self.diverged = not (finite and math.isfinite(self.train_loss))
        self.curve.append({"train_loss": self.train_loss, "validation_accuracy": math.nan})
        if self.asked.select == "last":
            self.selected_epoch = self.epochs_run

    @property
    def wants_judgement(self) -> bool:
        """Whether a score of this epoch on the validation images is used: to select, or as the last one."""
        over = self.epochs_run == self.asked.recipe.epochs
        return not self.diverged and (over or self.asked.select == "validation")

    def judge(self, score: Score) -> None:
        """Note the score of this epoch on the validation images; keep the values if it is selected by it."""
        self.curve[-1]["validation_accuracy"] = score.accuracy
        if self.asked.select == "last":
            self.judged = score
        elif self.judged is None or score.better_than(self.judged):
            self.judged, self.selected_epoch = score, self.epochs_run
            self.best = {name: value.clone() for name, value in self.network.values().items()}

    def settle(self) -> None:
        """Take back the values of the epoch that counts."""
        if self.best is not None:
            self.network.fill(self.best)


def arm(asked: Asked, prefix: Prefix, steps_per_epoch: int, seed: int) -> Arm:
    """The arm as it starts, on the device of `prefix`."""
    matrix = matrices.draw(asked.kind, matrices.channels_of(prefix.shape), asked.matrix_seed, asked.sigma)
    network = Inserted(prefix.suffix, matrix, asked.norms).to(prefix.device)
    if asked.start == "fresh":
        network.fill(prefix.fresh(asked.start_seed).state_dict())
    return Arm(asked, network, matrix, prefix.shape, steps_per_epoch, seed)
