"""Owns the channels of a layer as kernels see them: their means and norms over a stream, and rows made unit by channel."""

from dataclasses import dataclass

import torch
from torch import Tensor

from repsim.similarity.products import summable
from repsim.similarity.similarity import SAFETY


@dataclass(frozen=True)
class Channels:
    """Of each channel over all images and positions (c,), fp64: its mean, √Σ(x − mean)² and √Σx².

    A norm is 0 where it is no more than rounding: the channel is dead.
    """

    mean: Tensor
    centred: Tensor
    plain: Tensor

    def dead(self, centred: bool) -> int:
        """How many channels are constant (`centred`), or 0 everywhere."""
        return int(((self.centred if centred else self.plain) == 0).sum())


class ChannelSums:
    """Sums over images and positions of each channel, of values shifted by a number near their mean; fp64."""

    def __init__(self, shift: Tensor):
        """`shift`: (c,)."""
        self._shift, self._count = shift, 0
        self._total, self._squares = (summable(torch.zeros_like(shift)) for _ in range(2))

    def add(self, rows: Tensor) -> None:
        """Add the rows (n, m, c)."""
        shifted = (rows - self._shift).flatten(0, 1)
        self._count += len(shifted)
        self._total += summable(shifted.sum(0))
        self._squares += summable(shifted.square().sum(0))

    def channels(self) -> Channels:
        """Of all rows added so far."""
        shift, total, n = summable(self._shift), self._total, self._count
        centred = self._squares - total.square() / n
        plain = self._squares + 2 * shift * total + n * shift.square()
        return Channels(shift + total / n, self._norm(centred, plain), self._norm(plain, plain))

    def _norm(self, power: Tensor, plain: Tensor) -> Tensor:
        """√power, 0 where that is rounding of the channel's own values or of the largest channel."""
        power, eps = power.clamp(min=0), torch.finfo(self._shift.dtype).eps
        floor = eps * torch.maximum(power.max(), SAFETY**2 * plain).sqrt()
        return torch.where(power.sqrt() > floor, power.sqrt(), 0.0)


def unit(rows: Tensor, mean: Tensor | None, norms: Tensor) -> Tensor:
    """(x − mean) / norm of each channel of the rows (n, m, c); a channel of norm 0 is 0 everywhere."""
    inverse = torch.where(norms > 0, 1 / norms, 0.0).to(rows)
    return (rows if mean is None else rows - mean.to(rows)) * inverse
