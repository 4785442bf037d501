"""Owns the scoring of a network on clean images and under attacks, all in one pass over the batches."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from repsim.robustness import calibration, losses
from repsim.robustness.attacks import evaluating
from repsim.robustness.fooling import Tick

Key = TypeVar("Key")


class Attack(Protocol):
    """How an answer falls: `fooling.Ascent` or `ensemble.Ensemble`."""

    def __call__(self, network: nn.Module, x: Tensor, y: Tensor, right: Tensor, tick: Tick) -> Tensor: ...


@dataclass(frozen=True)
class Clean:
    """Scores on the images as they are; answers are one per image, or one per image and attribute.

    Attributes:
        images, answers, right: how many were scored, how many answers they have, how many of these are right.
        loss: mean cross-entropy, for attributes binary.
        ece: top-label expected calibration error in 15 bins (`calibration.expected_error`).
    """

    images: int
    answers: int
    right: int
    loss: float
    ece: float


def evaluate(
    network: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    attacks: Mapping[Key, Attack],
    tick: Callable[[int], None] = lambda images: None,
) -> tuple[Clean, dict[Key, Tensor]]:
    """The scores of `network` in eval mode, and for each attack the step at which each answer is first wrong.

    Args:
        batches: (x (n, c, h, w) in [0, 1], y (n,) or (n, a)); at least one.
        attacks: each sees the batches in their order, and the answers to them as they are.
        tick: called before each pass through the network with the number of images that are done.

    Losses, probabilities and sums are in fp64, on the CPU. The network's mode is left as it was.
    """
    seen: list[tuple[Tensor, ...]] = []
    falls: dict[Key, list[Tensor]] = {key: [] for key in attacks}
    done = 0
    with evaluating(network):
        for x, y in batches:
            tick(done)
            with torch.no_grad():
                logits = network(x)
            right = losses.right(logits, y)
            seen.append(_scored(logits.cpu().double(), y.cpu(), right.cpu()))
            for key, attack in attacks.items():
                falls[key].append(attack(network, x, y, right, partial(tick, done)).cpu())
            done += len(x)
    return _clean(seen), {key: torch.cat(parts) for key, parts in falls.items()}


def robust(falls: Tensor, steps: int) -> int:
    """How many answers are right up to and with step `steps` of the attack."""
    return int((falls > steps).sum())


def _scored(logits: Tensor, y: Tensor, right: Tensor) -> tuple[Tensor, ...]:
    return losses.task(logits, y), calibration.top_label(logits, attributes=y.ndim == 2), right


def _clean(seen: list[tuple[Tensor, ...]]) -> Clean:
    loss, confidence, right = (torch.cat(parts) for parts in zip(*seen, strict=True))
    ece = calibration.expected_error(confidence.flatten(), right.flatten())
    return Clean(len(loss), right.numel(), int(right.sum()), float(loss.mean()), ece)
