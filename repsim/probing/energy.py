"""Owns the energy of logits, and the loss by which a classifier learns to give outliers a high one (Liu et al. 2020)."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Margins:
    """Energies that the fine-tuning asks for: below `inside` in distribution, above `outside` for outliers."""

    inside: float = -25.0
    outside: float = -7.0
    weight: float = 0.1


def energy(logits: Tensor) -> Tensor:
    """E (n,) = −log Σ_c exp(logit_c) of logits (n, C); high where nothing is recognised (Liu et al. 2020, eq. 4)."""
    return -torch.logsumexp(logits, -1)


def loss(inside: Tensor, labels: Tensor, outside: Tensor, margins: Margins) -> Tensor:
    """Cross-entropy of `inside` (n, C) + weight · (mean max(0, E − m_in)² of it + mean max(0, m_out − E)² of `outside` (m, C)).

    Liu et al. 2020, eq. 6 to 8. Both hinges are squared.
    """
    above = functional.relu(energy(inside) - margins.inside).square().mean()
    below = functional.relu(margins.outside - energy(outside)).square().mean()
    return functional.cross_entropy(inside, labels) + margins.weight * (above + below)
