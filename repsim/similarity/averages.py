"""Owns means over images of some numbers per image: with every image itself, with shifted ones, and in bootstrap draws."""

from collections.abc import Callable

import torch
from torch import Tensor

from repsim.similarity import bootstrap
from repsim.similarity.products import summable
from repsim.similarity.request import Sample

Numbers = Callable[[Tensor, Tensor], Tensor]
"""(n, …) of f and (n, …) of g → k numbers for each image, (n, k)."""


class Averages:
    """Sums over images of numbers(x_i, y_i) by group, and of numbers(x_i, y_{i−1}) around the whole stream; fp64."""

    def __init__(self, numbers: Numbers, sample: Sample):
        self._numbers, self._sample, self._seen = numbers, sample, 0
        self._sums: Tensor
        self._counts: Tensor
        self._shifted: Tensor
        self._first: Tensor
        self._last: Tensor

    def add(self, x: Tensor, y: Tensor) -> None:
        """Add one batch of the same images."""
        found = summable(self._numbers(x, y))
        if not self._seen:
            self._begin(found, x, y)
        self._shifted += summable(self._numbers(x if self._seen else x[1:], self._before(y))).sum(0)
        for group, where in bootstrap.runs(self._sample, self._seen, len(x)):
            self._sums[group] += found[where].sum(0)
            self._counts[group] += len(found[where])
        self._seen += len(x)
        self._last = y[-1:].clone()

    def mean(self) -> Tensor:
        """(k,)."""
        return self._sums.sum(0) / self._counts.sum()

    def null(self) -> Tensor | None:
        """(k,) with every image of f beside the one before it of g; None of a single image."""
        if self._seen < 2:
            return None
        return (self._shifted + summable(self._numbers(self._first, self._last))[0]) / self._seen

    def drawn(self) -> Tensor:
        """(draws, k)."""
        weights = bootstrap.weights(self._sample).to(self._sums)
        return weights @ self._sums / (weights @ self._counts)[:, None]

    def _begin(self, found: Tensor, x: Tensor, y: Tensor) -> None:
        self._sums = found.new_zeros(bootstrap.groups(self._sample), found.shape[1])
        self._counts, self._shifted = self._sums.new_zeros(len(self._sums)), self._sums.new_zeros(found.shape[1])
        self._first = x[:1].clone()

    def _before(self, y: Tensor) -> Tensor:
        return torch.cat((self._last, y[:-1])) if self._seen else y[:-1]
