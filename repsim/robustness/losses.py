"""Owns what an attack makes large: one number per image, from logits and a target.

Labels are (n,) int64, or (n, a) of 0 and 1 for `a` attributes; losses of attributes are means over them.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def task(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy (n,) of logits (n, classes); for attributes the mean binary cross-entropy."""
    logits = _wide(logits)
    if labels.ndim == 2:
        return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="none").mean(1)
    return F.cross_entropy(logits, labels, reduction="none")


def divergence(logits: Tensor, clean: Tensor) -> Tensor:
    """KL(p ‖ q) (n,) of p = softmax(clean) and q = softmax(logits), both (n, classes)."""
    p, q = F.log_softmax(_wide(clean), 1), F.log_softmax(_wide(logits), 1)
    return (p.exp() * (p - q)).sum(1)


def attribute_divergence(logits: Tensor, clean: Tensor) -> Tensor:
    """The mean over attributes of KL(p ‖ q) of Bernoulli variables with p = σ(clean) and q = σ(logits), (n,)."""
    clean, logits = _wide(clean), _wide(logits)
    yes = torch.sigmoid(clean) * (F.logsigmoid(clean) - F.logsigmoid(logits))
    no = torch.sigmoid(-clean) * (F.logsigmoid(-clean) - F.logsigmoid(-logits))
    return (yes + no).mean(1)


def right(logits: Tensor, labels: Tensor) -> Tensor:
    """Which answers are right, bool of the shape of `labels`: the largest logit names the class; an attribute is there above 0."""
    return (logits > 0) == labels.bool() if labels.ndim == 2 else logits.argmax(1) == labels


def _wide(logits: Tensor) -> Tensor:
    """Logits in single precision at least."""
    return logits if logits.dtype == torch.float64 else logits.float()
