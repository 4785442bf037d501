"""Owns AutoAttack (Croce & Hein 2020), the ensemble of attacks without parameters, where its package is installed."""

import importlib
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass

import torch
from torch import Tensor

from repsim.robustness import losses, rules
from repsim.robustness.attacks import Logits
from repsim.robustness.fooling import NEVER, Tick


@dataclass(frozen=True)
class Ensemble:
    """AutoAttack's standard version in an L∞ ball: APGD-CE, targeted APGD-DLR and FAB, Square."""

    epsilon: float
    seed: int

    def __call__(self, network: Logits, x: Tensor, y: Tensor, right: Tensor, tick: Tick) -> Tensor:
        """0 for each answer that is wrong at x or at AutoAttack's image, else NEVER; int64 like `right`, see `Ascent`.

        The package prints (that goes to stderr here) and seeds torch's global generators (put back here).
        """
        if not right.any():
            return torch.where(right, NEVER, 0)

        def watched(images: Tensor) -> Tensor:
            tick()
            return network(images)

        with redirect_stdout(sys.stderr), torch.random.fork_rng([x.device] if x.device.type == "cuda" else []):
            made = self._adversary(watched, x.device).run_standard_evaluation(x, y, bs=len(x))
        with torch.no_grad():
            return torch.where(right & losses.right(network(made), y), NEVER, 0)

    def _adversary(self, network, device: torch.device):
        package = importlib.import_module(rules.PACKAGE)
        return package.AutoAttack(
            network, norm="Linf", eps=self.epsilon, seed=self.seed, verbose=False, version="standard", device=str(device)
        )
