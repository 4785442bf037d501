"""Owns how a network is trained and how it is scored: tensors in, numbers out."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from math import isfinite

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repsim.models import recipes
from repsim.models.recipes import Recipe

EpochBatches = Callable[[torch.Generator], Iterator[tuple[Tensor, Tensor, Tensor]]]
Tick = Callable[[float, str], None]


@dataclass(frozen=True)
class Curve:
    """Mean loss of the steps of each epoch, as trained on (augmented, labels smoothed).

    `diverged`: a loss, a weight or a running statistic was not finite at the end of the last epoch.
    """

    losses: tuple[float, ...]
    diverged: bool


@dataclass(frozen=True)
class Score:
    """Share of right answers, mean cross-entropy, and how many images they are of."""

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
) -> Curve:
    """Train `network` in place and leave it in eval mode.

    Args:
        network: x (b, c, h, w) in [0, 1] → logits (b, classes).
        epoch_batches: called with `generator` once per epoch; yields (x, y, index).
        generator: the only source of randomness: order and augmentation.
        steps_per_epoch: batches per epoch; sets the pace of the learning rate.
        steps: stop after so many steps in all (None: never).
        tick: called after each step with the share of steps done.

    Stops after the first epoch that leaves a loss, a weight or a running statistic that is not finite: looking
    after every step would make the device wait.
    """
    optimizer, losses, done, diverged = _optimizer(network, recipe), [], 0, False
    total = min(recipe.epochs * steps_per_epoch, steps or recipe.epochs * steps_per_epoch)
    network.train()
    for epoch in range(recipe.epochs):
        epoch_losses = []
        for x, y, _ in islice(epoch_batches(generator), total - done):
            _set_rate(optimizer, recipes.rate(recipe, (done + 0.5) / steps_per_epoch))
            epoch_losses.append(_step(network, optimizer, x, y, recipe.label_smoothing))
            done += 1
            tick(done / total, f"epoch {epoch + 1} of {recipe.epochs}")
        losses.append(_mean(epoch_losses))
        diverged = not (isfinite(losses[-1]) and finite(network))
        if diverged or done >= total:
            break
    network.eval()
    return Curve(tuple(losses), diverged)


@torch.no_grad()
def evaluate(
    network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], steps: int | None = None, tick: Callable[[], None] = lambda: None
) -> Score:
    """Score `network` in eval mode on batches of (x, y), on the first `steps` of them only if given; at least one batch.

    Sums are in float64 (and on the CPU, as not every device has it). The network's mode is left as it was.
    """
    mode, hits, losses = network.training, [], []
    network.eval()
    for x, y in islice(batches, steps):
        logits = network(x)
        hits.append(logits.argmax(1) == y)
        losses.append(F.cross_entropy(logits, y, reduction="none"))
        tick()
    network.train(mode)
    return Score(_mean(hits), _mean(losses), sum(map(len, hits)))


def finite(network: nn.Module) -> bool:
    """Whether every parameter and every running statistic is a finite number."""
    return all(bool(value.isfinite().all()) for value in network.state_dict().values())


def _step(network: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor, label_smoothing: float) -> Tensor:
    loss = F.cross_entropy(network(x), y, label_smoothing=label_smoothing)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.detach()


def _optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD has Nesterov momentum 0.9; Adam its usual constants. Weight decay acts where the recipe says."""
    named = [(name, value) for name, value in network.named_parameters() if value.requires_grad]
    decayed = [value for name, value in named if recipe.decays == "all" or name.endswith("weight")]
    others = [value for name, value in named if recipe.decays != "all" and not name.endswith("weight")]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if recipe.optimizer == "adam":
        return torch.optim.Adam(groups, lr=recipe.lr)
    return torch.optim.SGD(groups, lr=recipe.lr, momentum=0.9, nesterov=True)


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def _mean(values: list[Tensor]) -> float:
    """Mean over all elements, in float64."""
    return float(torch.cat([value.reshape(-1) for value in values]).cpu().double().mean())
