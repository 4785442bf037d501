"""Owns the U-centred inner products of the images of one batch, layer by layer, and what must be known of a layer beside them."""

from typing import Literal

import torch
from torch import Tensor

from repsim.similarity.hsic import ENTRY
from repsim.similarity.products import aligned, summable
from repsim.similarity.similarity import SAFETY
from repsim.similarity.symmetric import own_products

State = Literal["not finite", "constant", "flat", "varies"]
"""not finite: not all numbers, or their squares, are; constant: all images have the same row; flat: the images of every batch are
equally alike, so that rounding alone makes ⟨U, U⟩."""


class CentredProducts:
    """One layer over all batches.

    Its rows are shifted by their first batch's mean where that is large: U-centring takes a mean off exactly, but not the
    digits that it cost. Where images differ by more than their mean, a shift would save no more than one binary digit, and costs
    a pass over the memory.
    """

    def __init__(self, rows: Tensor, rounding: float):
        """`rows`: (n, p), those of the first batch; `rounding`: relative, of the numbers in them."""
        mean = rows.mean(0)
        self._level = summable(mean).square().sum()
        apart = summable(torch.linalg.vector_norm(rows, dim=1)).square().mean() - self._level
        self._shift = None if self._level <= apart else mean
        self._noise, self._blurred = torch.finfo(rows.dtype).eps, (SAFETY * rounding) ** 2 * self._level
        self._aligned = torch.ones_like(self._level) if self._shift is None else aligned(rows, mean)
        self.weight = torch.ones_like(self._level)
        self._unit = self._spread = self._squares = torch.zeros_like(self._level)
        self._images = self._entries = self._pairs = 0

    def centred(self, rows: Tensor) -> Tensor:
        """U of rows (n, p), (n, n); times `weight` of this batch, and one number for all batches, ⟨U, U'⟩ is n (n − 3) HSIC₁.

        Székely & Rizzo (2014), definition 2: the mean over others is taken off rows and columns, and the diagonal is 0. Every
        batch is divided by its own largest number: one of zeros, or of rounding alone, sets no measure for the others.
        """
        found = own_products(rows if self._shift is None else rows - self._shift)
        largest = found.diagonal().max()  # of all entries
        self._unit = self._unit.where(self._unit > 0, summable(largest))
        self.weight = (summable(largest) / self._unit).where(summable(largest) > 0, 1.0)
        self._note(found.div_(largest.where(largest > 0, 1.0)))
        _centre(found)
        return found

    def state(self, own: Tensor) -> State:
        """What is known of the layer after all batches, up to rounding; `own`: the sum of ⟨U, U⟩ over them, 0-d."""
        if not self._squares.isfinite():
            return "not finite"
        if self._unit * self._spread <= self._images * self._blurred:
            return "constant"
        moved = 2 * self._aligned * self._blurred / self._unit * self._spread / self._images
        rounding = (ENTRY * self._noise) ** 2 * self._squares / self._entries + moved
        return "flat" if own <= self._pairs * rounding else "varies"

    def _note(self, found: Tensor) -> None:
        n = len(found)
        self._spread = self._spread + self.weight * summable(found.diagonal()).sum()
        self._squares = self._squares + (self.weight * summable(torch.linalg.vector_norm(found))).square()
        self._images, self._entries, self._pairs = self._images + n, self._entries + n * n, self._pairs + n * (n - 3)


def _centre(found: Tensor) -> None:
    """Centre inner products (n, n) where they stand."""
    n = len(found)
    found.diagonal().zero_()
    means = found.sum(1) / (n - 2)
    half = means - means.sum() / (2 * (n - 1))
    found.sub_(half[:, None]).sub_(half)
    found.diagonal().zero_()
