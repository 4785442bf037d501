"""Owns the course of a training: where it stands, its next epoch, and the state from which it goes on to the same end."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import isfinite, nan

import torch
from torch import Tensor, nn

from repsim.models import optimizers, recipes
from repsim.models.average import Average
from repsim.models.curves import Curve, Point
from repsim.models.learner import Batch, Objective, Single, learner, own
from repsim.models.recipes import Recipe
from repsim.models.switches import seed_layers, seed_of

EpochBatches = Callable[[torch.Generator, int], Iterator[tuple[Tensor, Tensor, Tensor]]]
"""(generator, epoch from 0) → the batches (x, y, index) of that epoch; as many for every generator."""
Tick = Callable[[float, str], None]


@dataclass
class Course:
    """Networks in training, one or several of one architecture at once, on their own batches each.

    Attributes:
        networks: trained in place; in train mode until `end`.
        generators: one per network, from which its order and its augmentation are drawn.
        seeds: one per network, from which dropout and objectives draw.
        steps_per_epoch: batches per epoch; sets the pace of the learning rate.
        steps: stop after so many steps in all; None: never.
        objective: in place of the plain loss; for one network only.
    """

    networks: Sequence[nn.Module]
    recipe: Recipe
    generators: Sequence[torch.Generator]
    steps_per_epoch: int
    seeds: Sequence[int] = (0,)
    steps: int | None = None
    objective: Objective | None = None
    epoch: int = 0
    step: int = 0  # within the epoch
    seconds: float = 0.0
    images: int = 0  # trained on, by all networks
    losses: list[Tensor] = field(default_factory=list)  # (2, K) per step of this epoch: losses and hits
    curves: list[Curve] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.learner = learner(self.networks, self.recipe)
        self.learner.mode(training=True)
        self.optimizer = optimizers.optimizer(self.learner, self.recipe)
        self.average = Average(self.learner, self.recipe) if self.recipe.ema else None
        self.curves = self.curves or [Curve() for _ in self.networks]
        self.device = next(iter(self.learner.trained.values())).device
        self.total = min(self.recipe.epochs * self.steps_per_epoch, self.steps or self.recipe.epochs * self.steps_per_epoch)
        self.drawn = torch.Generator(self.device)
        self._remember_starts()

    @property
    def done(self) -> int:
        """Steps taken."""
        return self.epoch * self.steps_per_epoch + self.step

    @property
    def over(self) -> bool:
        """Whether its last epoch is behind it and closed."""
        return not self.step and (self.done >= self.total or all(curve.diverged for curve in self.curves))

    @property
    def counting(self) -> Sequence[nn.Module]:
        """The networks that count: the averages where there are any."""
        return self.average.networks if self.average else self.networks

    def run_epoch(self, epoch_batches: EpochBatches, tick: Tick = lambda fraction, text: None) -> None:
        """Train to the end of the epoch, from where it stands. `tick` is called after each step; what it raises passes through.

        In a resumed epoch the batches that it has seen are drawn again, so that the generators stand where they stood.
        """
        streams = zip(*(epoch_batches(generator, self.epoch) for generator in self.generators), strict=True)
        left = self.step + self.total - self.done
        clock, before, images = time.monotonic(), self.seconds, self.images
        for batches in islice(streams, self.step, left):
            self._step([(x, y) for x, y, _ in batches])
            self.step += 1
            self.seconds = before + time.monotonic() - clock
            self.images += sum(len(y) for _, y, _ in batches)
            tick(self.done / self.total, self._text((self.images - images) / (self.seconds - before)))
        means = torch.stack(self.losses).cpu().double().mean(0).T.tolist()  # waits for the device, once per epoch
        self.seconds = before + time.monotonic() - clock
        self._close_epoch(means)

    def end(self) -> None:
        """Give every network memory of its own again, and leave it in eval mode."""
        for network in {*self.networks, *self.counting}:
            own(network)
            network.eval()

    def _step(self, batches: list[Batch]) -> None:
        number, recipe = self.done + 1, self.recipe
        optimizers.set_rate(self.optimizer, recipes.rate(recipe, (number - 0.5) / self.steps_per_epoch))
        seed_layers(self.device, seed_of(self.seeds[0], "layers", number))
        losses, hits = self._losses(batches, number)
        self.optimizer.zero_grad(set_to_none=True)
        losses.sum().backward()
        if recipe.clip:
            optimizers.clip(self.learner, recipe.clip)
        self.optimizer.step()
        if self.average:
            self.average.update(number, last=number == self.total)
        self.losses.append(torch.stack([losses.detach(), hits]))

    def _losses(self, batches: list[Batch], number: int) -> tuple[Tensor, Tensor]:
        if self.objective is None:
            return self.learner.losses(batches, self.recipe.label_smoothing)
        assert isinstance(self.learner, Single), "an objective is for one network"
        self.drawn.manual_seed(seed_of(self.seeds[0], "objective", number))
        loss = self.objective(self.learner.call, *batches[0], self.drawn)[None]
        return loss, torch.full_like(loss, nan)

    def _close_epoch(self, means: list[list[float]]) -> None:
        """Write down the mean loss and hits of each network, and see whether it is still finite."""
        rate = recipes.rate(self.recipe, (self.done - 0.5) / self.steps_per_epoch)
        for (loss, hits), network, curve in zip(means, self.networks, self.curves, strict=True):
            if not curve.diverged:
                curve.points.append(Point(self.epoch + 1, rate, loss, hits, self.seconds))
                curve.diverged = not (isfinite(loss) and finite(network))
        self.losses, self.step, self.epoch = [], 0, self.epoch + 1
        self._remember_starts()

    def _remember_starts(self) -> None:
        self.starts = [generator.get_state() for generator in self.generators]

    def _text(self, pace: float) -> str:
        """Where it stands; the loss is the last epoch's, as the device would have to be waited for to know the present one."""
        losses = [curve.losses[-1] for curve in self.curves if curve.points]
        loss = f", loss {sum(losses) / len(losses):.3f}" if losses else ""
        return f"epoch {self.epoch + 1} of {self.recipe.epochs}{loss}, {pace:,.0f} images/s"


def finite(network: nn.Module) -> bool:
    """Whether every parameter and every running statistic is a finite number."""
    return all(bool(value.isfinite().all()) for value in network.state_dict().values())
