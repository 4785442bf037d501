"""Owns after how many steps an ascent first makes an answer wrong.

An answer is robust if it is right at x and at every image that the attack visits: the start and each iterate of every
restart. So an image is attacked only until it is fooled, more steps or restarts never raise the robust accuracy, and an
attack of 50 steps contains those of 10 and of 20 from the same start.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from repsim.robustness import losses
from repsim.robustness.attacks import Logits, ascend, ball, begin
from repsim.robustness.linf import Linf

NEVER = 2**31 - 1  # steps that no attack takes
Tick = Callable[[], None]


@dataclass(frozen=True, eq=False)
class Ascent:
    """PGD against the answers to one batch after the other; starts are drawn from `generator` in that order."""

    attack: Linf
    generator: torch.Generator

    def __call__(self, network: nn.Module, x: Tensor, y: Tensor, right: Tensor, tick: Tick) -> Tensor:
        """The step (0: the image or the start) at which each answer is first wrong, else NEVER; int64 like `right`.

        Args:
            network: in eval mode.
            x: images (n, c, h, w) in [0, 1].
            y: labels (n,), or (n, a) for `a` attributes; all attributes of an image are attacked together.
            right: whether the answer to x itself is right, bool like y.
            tick: called before each step.
        """
        first = torch.where(right, NEVER, 0)
        for _ in range(self.attack.restarts):
            _try(network, x, y, begin(x, self.attack, self.generator), self.attack, first, tick)
        return first


def followed(
    network: Logits, x: Tensor, y: Tensor, right: Tensor, attack: Linf, generator: torch.Generator, tick: Tick
) -> tuple[Tensor, Tensor]:
    """What one `Ascent` without restarts says, and the last iterate (n, c, h, w) of every image, fooled or not.

    An attack that is to be tried on other networks goes on where `Ascent` stops.
    """
    at, box = begin(x, attack, generator), ball(x, attack.epsilon)
    first = torch.where(right, NEVER, 0)
    for step in range(attack.steps):
        tick()
        at, logits = ascend(network, at, y, box, attack.step, losses.task)
        first = _earlier(first, logits, y, step)
    tick()
    return _earlier(first, _logits(network, at), y, attack.steps), at


def _try(network: Logits, x: Tensor, y: Tensor, start: Tensor, attack: Linf, first: Tensor, tick: Tick) -> None:
    """One ascent of the images that can still be fooled earlier than by now; lowers `first` in place."""
    standing = _after(first, 0).nonzero().flatten()
    at, (low, high) = start[standing], ball(x, attack.epsilon)
    for step in range(attack.steps + 1):
        if not len(standing):
            return
        tick()
        target = y[standing]
        if step == attack.steps:
            logits = _logits(network, at)
        else:
            at, logits = ascend(network, at, target, (low[standing], high[standing]), attack.step, losses.task)
        first[standing] = _earlier(first[standing], logits, target, step)
        left = _after(first[standing], step + 1)
        standing, at = standing[left], at[left]


def _earlier(first: Tensor, logits: Tensor, y: Tensor, step: int) -> Tensor:
    """`first`, or `step` for answers that are wrong there and were not before."""
    return torch.minimum(first, torch.where(losses.right(logits, y), NEVER, step))


def _after(first: Tensor, step: int) -> Tensor:
    """Images (n,) with an answer that is first wrong after `step`."""
    return (first > step).reshape(len(first), -1).any(1)


@torch.no_grad()
def _logits(network: Logits, x: Tensor) -> Tensor:
    return network(x)
