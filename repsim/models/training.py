"""Owns how a network is trained from start to end, and how it is scored: tensors in, numbers out."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repsim.models.course import Course, EpochBatches, Tick, finite
from repsim.models.curves import Curve
from repsim.models.learner import Autocast, Objective, right
from repsim.models.recipes import Precision, Recipe
from repsim.models.switches import switched

__all__ = ["Curve", "Score", "evaluate", "finite", "train", "train_together"]


@dataclass(frozen=True)
class Score:
    """Share of right answers, mean loss, and how many images they are of."""

    accuracy: float
    loss: float
    n: int


def train(
    network: nn.Module,
    epoch_batches: EpochBatches,
    recipe: Recipe,
    generator: torch.Generator,
    steps_per_epoch: int,
    steps: int | None = None,
    tick: Tick = lambda fraction, text: None,
    objective: Objective | None = None,
) -> Curve:
    """Train `network` in place and leave it in eval mode; where the recipe has an average, the network becomes that average.

    Args:
        network: x (b, c, h, w) in [0, 1] → logits (b, classes).
        epoch_batches: called with `generator` and the epoch (from 0); yields (x, y, index).
        generator: order and augmentation are drawn from it; dropout and objectives from seeds made of its initial seed.
        steps_per_epoch: batches per epoch; sets the pace of the learning rate.
        steps: stop after so many steps in all (None: never).
        tick: called after each step with the share of steps done; what it raises passes through.
        objective: in place of the plain loss.

    Stops after the first epoch that leaves a loss, a weight or a running statistic that is not finite.
    """
    return train_together([network], epoch_batches, recipe, [generator], steps_per_epoch, steps, tick, objective)[0]


def train_together(
    networks: Sequence[nn.Module],
    epoch_batches: EpochBatches,
    recipe: Recipe,
    generators: Sequence[torch.Generator],
    steps_per_epoch: int,
    steps: int | None = None,
    tick: Tick = lambda fraction, text: None,
    objective: Objective | None = None,
) -> list[Curve]:
    """`train` for several networks of one architecture at once, each on batches from its own generator.

    Up to rounding this gives what separate trainings give. `learner.stackable` says which networks can be.
    """
    seeds = [generator.initial_seed() for generator in generators]
    course = Course(networks, recipe, generators, steps_per_epoch, seeds, steps, objective)
    with switched(course.device):
        while not course.over:
            course.run_epoch(epoch_batches, tick)
    course.end()
    for network, counts in zip(networks, course.counting, strict=True):
        network.load_state_dict(counts.state_dict())
    return course.curves


@torch.no_grad()
def evaluate(
    network: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    steps: int | None = None,
    tick: Callable[[], None] = lambda: None,
    precision: Precision = "fp32",
) -> Score:
    """Score `network` in eval mode on batches of (x, y), on the first `steps` of them only if given; at least one batch.

    For classes y (b,) the loss is the mean cross-entropy; for attributes y (b, a) of 0 and 1 the mean binary cross-entropy,
    and the accuracy is over images and attributes. Sums are in float64 (and on the CPU, as not every device has it). The
    network's mode is left as it was.
    """
    mode, hits, losses = network.training, [], []
    network.eval()
    call = network if precision == "fp32" else Autocast(network)
    for x, y in islice(batches, steps):
        logits = call(x)
        hits.append(right(logits, y))
        losses.append(_losses(logits, y))
        tick()
    network.train(mode)
    return Score(_mean(hits), _mean(losses), sum(map(len, hits)))


def _losses(logits: Tensor, y: Tensor) -> Tensor:
    """One number per answer."""
    if y.ndim == 2:
        return F.binary_cross_entropy_with_logits(logits, y.to(logits.dtype), reduction="none")
    return F.cross_entropy(logits, y, reduction="none")


def _mean(values: list[Tensor]) -> float:
    """Mean over all elements, in float64."""
    return float(torch.cat([value.reshape(-1) for value in values]).cpu().double().mean())
