"""Owns how far confidence is from accuracy."""

import torch
from torch import Tensor

BINS = 15


def top_label(logits: Tensor, attributes: bool = False) -> Tensor:
    """The probability (n,) of the class that is named, softmax of logits (n, classes); (n, a) for `a` attributes."""
    return torch.sigmoid(logits.abs()) if attributes else logits.softmax(1).amax(1)


def expected_error(confidence: Tensor, right: Tensor, bins: int = BINS) -> float:
    """Σ over bins of |B|/n · |accuracy of B − mean confidence of B|, the top-label ECE (Guo et al. 2017, equation 3).

    Args:
        confidence: top-label probabilities (n,), n > 0.
        right: whether each answer is right, bool (n,).
        bins: of equal width, each open at its lower and closed at its upper end: (0, 1/bins], (1/bins, 2/bins], …
    """
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64)[1:-1]
    confidence, gain = confidence.double(), right.double() - confidence.double()
    gaps = torch.zeros(bins, dtype=torch.float64).index_add(0, torch.bucketize(confidence, edges), gain)
    return float(gaps.abs().sum() / len(confidence))
