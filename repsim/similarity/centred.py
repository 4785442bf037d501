"""Owns the U-centred inner products of the images of one batch, layer by layer, and what must be known of a layer beside them."""

import torch
from torch import Tensor

from repsim.similarity.products import summable
from repsim.similarity.symmetric import own_products


class CentredProducts:
    """One layer over all batches.

    Its rows are shifted by their first batch's mean where that is large: U-centring takes a mean off exactly, but not the
    digits that it cost. Where images differ by more than their mean, a shift would save no more than one binary digit, and costs
    a pass over the memory.
    """

    def __init__(self, rows: Tensor):
        """`rows`: (n, p), those of the first batch."""
        mean = rows.mean(0)
        level = summable(mean).square().sum()
        apart = summable(torch.linalg.vector_norm(rows, dim=1)).square().mean() - level
        self._shift = None if level <= apart else mean
        self._level = level if self._shift is not None else torch.zeros_like(level)
        self._noise = torch.finfo(rows.dtype).eps
        self._scale, self._spread, self._images = torch.zeros_like(mean[0]), torch.zeros_like(level), 0

    def centred(self, rows: Tensor) -> Tensor:
        """U of rows (n, p), (n, n), divided by one number that is the same for all batches; ⟨U, U'⟩ is n (n − 3) HSIC₁.

        Székely & Rizzo (2014), definition 2: the mean over others is taken off rows and columns, and the diagonal is 0.
        """
        found = own_products(rows if self._shift is None else rows - self._shift)
        self._spread += summable(found.diagonal()).sum()
        _centre(found)
        if not self._images:
            largest = found.abs().max()
            self._scale = largest.where(largest > 0, 1.0)
        self._images += len(rows)
        return found.div_(self._scale)

    @property
    def finite(self) -> bool:
        """Whether all numbers seen were, and their squares."""
        return bool(self._spread.isfinite())

    @property
    def constant(self) -> bool:
        """Whether all images have the same row, up to rounding."""
        return bool(self._spread <= self._images * (4 * self._noise) ** 2 * self._level)


def _centre(found: Tensor) -> None:
    """Centre inner products (n, n) where they stand."""
    n = len(found)
    found.diagonal().zero_()
    means = found.sum(1) / (n - 2)
    half = means - means.sum() / (2 * (n - 1))
    found.sub_(half[:, None]).sub_(half)
    found.diagonal().zero_()
