"""Owns the moving average of the weights of networks in training (Polyak and Juditsky 1992; Izmailov et al. 2018).

a ← d · a + (1 − d) · w after every step, d = min(decay, (1 + t) / (10 + t)) at step t, so that the first weights are soon
forgotten. Done every few steps with the product of their decays: a step of the average costs as much as one of the optimizer.
Running statistics are averaged with the weights that they belong to; counters are taken as they are.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from repsim.models.learner import Learner, detached, learner
from repsim.models.recipes import Recipe

EVERY = 5  # steps


class Average:
    """The average of `source`, as networks of their own.

    Attributes:
        networks: twins of those of `source`, in the same order.
    """

    def __init__(self, source: Learner, recipe: Recipe):
        self.source, self.decay = source, recipe.ema
        self.twin = learner([detached(network) for network in source.networks], recipe)
        self.networks: Sequence[nn.Module] = self.twin.networks
        self.taken = 0

    @property
    def tensors(self) -> dict[str, Tensor]:
        return self.twin.tensors

    @torch.no_grad()
    def update(self, step: int, last: bool) -> None:
        """After step number `step` (from 1): take in the weights where their turn has come, and at the last step."""
        if step % EVERY and not last:
            return
        kept = 1.0
        for t in range(self.taken + 1, step + 1):
            kept *= min(self.decay, (1 + t) / (10 + t))
        self.taken = step
        mine, its = self.twin.tensors, self.source.tensors
        floats = [name for name in mine if mine[name].is_floating_point()]
        torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]  # one call for all tensors
            [mine[name] for name in floats], [its[name].detach() for name in floats], 1 - kept
        )
        for name in mine.keys() - set(floats):
            mine[name].copy_(its[name])
