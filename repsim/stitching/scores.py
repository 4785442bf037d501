"""Owns the scores of stitched networks: sums that add up over batches, and what they say in the end."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from repsim.stitching.birkhoff import exact


@dataclass(frozen=True)
class Versus:
    """A stitched network compared with g on the same images.

    Attributes:
        agreement: share put into the same class.
        hits: shares that (both, only the stitched network, only g, neither) put into the right class.
        cka: biased linear CKA of the logits (Kornblith et al. 2019, §3); None where one of them is constant.
    """

    agreement: float
    hits: tuple[float, float, float, float]
    cka: float | None


@dataclass(frozen=True)
class Score:
    """Share of the images put into the right class, and the mean cross-entropy in nats; `versus` where g was run too."""

    accuracy: float
    loss: float
    versus: Versus | None = None

    def better_than(self, other: "Score") -> bool:
        """By accuracy, then by loss."""
        return (self.accuracy, -self.loss) > (other.accuracy, -other.loss)


def sums(logits: Tensor, labels: Tensor, own: Tensor | None) -> Tensor:
    """What adds up over images, of K networks' logits (K, n, C): fp64 (K, 3): images, summed loss, images put into the right class.

    With g's own logits (n, C) behind them: images put into g's class; into the right class by both, by the stitched
    network only, by g only, by neither; then Σx and Σy (C each) and Σxxᵀ, Σxyᵀ, Σyyᵀ (C² each) of logits x and g's y.
    """
    classes = logits.argmax(-1)
    right = classes == labels
    losses = functional.cross_entropy(logits.flatten(0, 1), labels.repeat(len(logits)), reduction="none")
    columns = [
        torch.full_like(right[:, 0], True).float() * len(labels),
        losses.unflatten(0, (len(logits), -1)).sum(-1),
        right.sum(-1),
    ]
    if own is None:
        return exact(torch.stack(columns, -1))
    others = own.argmax(-1)
    known = others == labels
    pairs = (classes == others, right & known, right & ~known, ~right & known, ~right & ~known)
    columns.extend(pair.sum(-1) for pair in pairs)
    x, y = exact(logits), exact(own).expand(len(logits), -1, -1)
    products = [(one.mT @ other).flatten(1) for one, other in ((x, x), (x, y), (y, y))]
    return torch.cat([exact(torch.stack(columns, -1)), x.sum(1), y.sum(1), *products], -1)


def score(row: Tensor, classes: int) -> Score:
    """The score that a row of `sums` over all images stands for."""
    images, loss, right = row[:3].tolist()
    if len(row) == 3:
        return Score(right / images, loss / images)
    same, both, alone, missed, neither = (row[3:8] / images).tolist()
    total_x, total_y, xx, xy, yy = row[8:].split([classes, classes, *[classes**2] * 3])
    cka = _cka(images, total_x, total_y, *(gram.unflatten(0, (classes, classes)) for gram in (xx, xy, yy)))
    return Score(right / images, loss / images, Versus(same, (both, alone, missed, neither), cka))


def _cka(n: float, total_x: Tensor, total_y: Tensor, xx: Tensor, xy: Tensor, yy: Tensor) -> float | None:
    """‖S_xy‖² / (‖S_xx‖‖S_yy‖) of the centred sums."""
    cross = (xy - torch.outer(total_x, total_y) / n).square().sum()
    spread = ((xx - torch.outer(total_x, total_x) / n).norm(), (yy - torch.outer(total_y, total_y) / n).norm())
    noise = torch.finfo(xx.dtype).eps * n
    if spread[0] <= noise * xx.norm() / n or spread[1] <= noise * yy.norm() / n:
        return None
    return float(cross / (spread[0] * spread[1]))
