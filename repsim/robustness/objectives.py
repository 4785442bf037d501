"""Owns the losses of adversarial training, in place of a plain cross-entropy.

Images are attacked in eval mode: batch norms use their running statistics and nothing is dropped. TRADES is published
so (Zhang et al. 2019); for Madry's training it gives the better clean accuracy at equal robustness (Pang et al. 2021,
"Bag of tricks for adversarial training", section 3.5), and an attack in train mode would also feed the running
statistics with images that nothing is trained on. The loss itself is taken in the mode the network is in.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repsim.robustness import losses
from repsim.robustness.attacks import evaluating, pgd
from repsim.robustness.linf import Linf

Objective = Callable[[nn.Module, Tensor, Tensor, torch.Generator], Tensor]
"""(network, x in [0, 1], labels, generator of the run) → scalar loss."""


def madry(attack: Linf, ratio: float = 1.0, label_smoothing: float = 0.0) -> Objective:
    """CE(f(x'), y), where the share `ratio` of each batch is attacked (Madry et al. 2018, equation 2.1).

    The first ratio · n images (to the nearest whole number) are replaced by PGD's, the rest stays clean: batches come in
    random order. One forward pass serves both. The attack maximises the loss without label smoothing.
    """

    def objective(network: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        n = round(ratio * len(x))
        mixed = torch.cat([pgd(network, x[:n], y[:n], attack, generator), x[n:]]) if n else x
        return _smoothed(network(mixed), y, label_smoothing)

    return objective


def trades(attack: Linf, beta: float = 6.0, label_smoothing: float = 0.0) -> Objective:
    """CE(f(x), y) + β · KL(softmax f(x) ‖ softmax f(x')), x' maximising that divergence (Zhang et al. 2019, equation 5, β = 1/λ).

    x' starts at x + 0.001 · N(0, 1), whatever `attack` says: at x itself the divergence has no gradient. Clean and
    attacked images pass separately, each with its own batch statistics, and both passes are trained through.
    """
    attack = replace(attack, start="gaussian")

    def objective(network: nn.Module, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        divergence = losses.attribute_divergence if y.ndim == 2 else losses.divergence
        with torch.no_grad(), evaluating(network):
            clean = network(x)
        moved = pgd(network, x, clean, attack, generator, divergence)
        logits = network(x)
        return _smoothed(logits, y, label_smoothing) + beta * divergence(network(moved), logits).mean()

    return objective


def _smoothed(logits: Tensor, y: Tensor, label_smoothing: float) -> Tensor:
    """Mean loss of labels that keep 1 − s of their weight and share s evenly among all answers."""
    if y.ndim == 1:
        return F.cross_entropy(logits.float(), y, label_smoothing=label_smoothing)
    wanted = y.to(logits.dtype) * (1 - label_smoothing) + label_smoothing / 2
    return F.binary_cross_entropy_with_logits(logits, wanted)
