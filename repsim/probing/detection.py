"""Owns how well a score tells activations of other origin from native ones: AUROC, AUPR and FPR95.

A score is one number per image, the higher the less it looks native. Native is the positive class, as in Liu et al. (2020) and
Balogh & Jelasity (2025): AUROC 0.5 says that nothing is flagged, 1 that everything is, below 0.5 that the others look more
native than what is native.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

KEPT = 0.95  # share of the native activations that the threshold of FPR95 lets pass
SPLIT = 0  # seed of the halves that native activations are split into


@dataclass(frozen=True)
class Detection:
    """How well n native and m other activations are told apart.

    Attributes:
        auroc: chance that another scores higher than a native one, ties counting half.
        aupr: average precision with native as the positive class; n / (n + m) where scores say nothing.
        fpr95: share of the others that pass for native where the threshold lets 95 % of the native ones pass (false positives).
    """

    auroc: float
    aupr: float
    fpr95: float


def detect(native: Tensor, other: Tensor) -> Detection | None:
    """How well the scores of native (n,) and other (m,) activations tell them apart; None where one is not finite."""
    scores = torch.cat([native, other]).double().cpu().numpy()
    if not np.isfinite(scores).all():
        return None
    is_native = np.arange(len(scores)) < len(native)
    auroc, aupr = roc_auc_score(is_native, -scores), average_precision_score(is_native, -scores)
    return Detection(float(auroc), float(aupr), fpr95(scores[is_native], scores[~is_native]))


def fpr95(native: np.ndarray, other: np.ndarray) -> float:
    """Share of `other` (m,) that scores no higher than the lowest threshold under which at least 95 % of `native` (n,) lie.

    What scores at the threshold passes. Native is the positive class, so this is the false positive rate at 95 % recall.
    """
    threshold = np.sort(native)[ceil(round(KEPT * len(native), 9)) - 1]
    return float((other <= threshold).mean())


def halves(native: Tensor) -> Detection | None:
    """The same for two halves of native scores, drawn once: AUROC must be 0.5 within √((n + 1) / (3 n²)), n in all."""
    order = torch.randperm(len(native), generator=torch.Generator().manual_seed(SPLIT)).to(native.device)
    one, other = native[order].tensor_split(2)
    return detect(one, other) if len(other) else None
