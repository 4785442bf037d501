"""Owns the second moments of pairs of activations: streamed over batches, shifted, summed in fp64.

Activations are read in channel view: (n, c, h, w) becomes (n·h·w) rows of c values, (n, c) is n rows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from repsim.errors import InputError

Pair = tuple[str, str]  # front layer, end layer
BLOCK = 8192  # rows: a block stays in the cache of a CPU


@dataclass(frozen=True)
class Moments:
    """Of rows x (p) and y (q): means, and the centred sums xx = Σ(x−x̄)(x−x̄)ᵀ, yy, and xy = Σ(x−x̄)(y−ȳ)ᵀ (p, q); fp64.

    `noise` is the relative rounding of the products: directions of xx below it carry nothing.
    """

    rows: int
    mean_x: Tensor
    mean_y: Tensor
    xx: Tensor
    yy: Tensor
    xy: Tensor
    noise: float = torch.finfo(torch.float64).eps

    def raw(self) -> tuple[Tensor, Tensor, Tensor]:
        """The uncentred sums Σxxᵀ, Σyyᵀ, Σxyᵀ, for maps without a bias."""
        x, y = self.mean_x, self.mean_y
        return (
            self.xx + self.rows * torch.outer(x, x),
            self.yy + self.rows * torch.outer(y, y),
            self.xy + self.rows * torch.outer(x, y),
        )


class Stream:
    """Gathers the moments of many (front layer, end layer) pairs; xx once per front layer, yy once per end layer.

    Every batch is shifted by the mean of the first one (moments do not care, rounding does), multiplied in blocks of
    rows in `products` precision (default: that of the activations), and summed in fp64 (on the CPU for MPS, which has none).
    """

    def __init__(self, pairs: Iterable[Pair], products: torch.dtype | None = None):
        self.pairs = list(dict.fromkeys(pairs))
        self.products = products
        self._front: dict[str, _Side] = {front: _Side() for front, _ in self.pairs}
        self._end: dict[str, _Side] = {end: _Side() for _, end in self.pairs}
        self._cross: dict[Pair, Tensor] = {}

    @torch.no_grad()
    def add(self, front: Mapping[str, Tensor], end: Mapping[str, Tensor]) -> None:
        """Add one batch: activations (n, c, h, w) or (n, c) by layer name, of the same images in the same order.

        Raises InputError where the two layers of a pair do not have the same spatial size.
        """
        for pair in self.pairs:
            _need_same_grid(pair, front[pair[0]], end[pair[1]])
        x = {layer: side.add(self._rows(front[layer])) for layer, side in self._front.items()}
        y = {layer: side.add(self._rows(end[layer])) for layer, side in self._end.items()}
        for pair in self.pairs:
            product = _product(x[pair[0]], y[pair[1]])
            self._cross[pair] = self._cross[pair] + product if pair in self._cross else product

    def moments(self, pair: Pair) -> Moments:
        """The moments of `pair` over all batches added so far."""
        x, y = self._front[pair[0]], self._end[pair[1]]
        assert x.rows, "no batch was added"
        xy = self._cross[pair] - torch.outer(x.total, y.total) / x.rows
        noise = torch.finfo(x.shift.dtype).eps
        return Moments(x.rows, x.mean(), y.mean(), x.centred(), y.centred(), xy, noise)

    def _rows(self, activation: Tensor) -> Tensor:
        products = self.products or torch.promote_types(activation.dtype, torch.float32)
        return activation.movedim(1, -1).reshape(-1, activation.shape[1]).to(products)


class _Side:
    """Rows, sum and sum of products of one layer, all of the shifted values."""

    rows: int = 0
    shift: Tensor
    total: Tensor
    gram: Tensor

    def add(self, rows: Tensor) -> list[Tensor]:
        """Add the rows; returns them shifted and in blocks, for the cross products."""
        if not self.rows:
            self.shift = rows.mean(0)
            self.total = _summable(torch.zeros_like(self.shift))
            self.gram = self.total.new_zeros(len(self.shift), len(self.shift))
        blocks = [block - self.shift for block in rows.split(BLOCK)]
        self.rows += len(rows)
        self.total += _summable(torch.stack([block.sum(0) for block in blocks])).sum(0)
        self.gram += _product(blocks, blocks)
        return blocks

    def mean(self) -> Tensor:
        return _summable(self.shift) + self.total / self.rows

    def centred(self) -> Tensor:
        return self.gram - torch.outer(self.total, self.total) / self.rows


def _product(x: list[Tensor], y: list[Tensor]) -> Tensor:
    """Σ xᵀy over the blocks."""
    return _summable(torch.stack([one.mT @ other for one, other in zip(x, y, strict=True)])).sum(0)


def _summable(tensor: Tensor) -> Tensor:
    return tensor.cpu().double() if tensor.device.type == "mps" else tensor.double()


def _need_same_grid(pair: Pair, front: Tensor, end: Tensor) -> None:
    if front.shape[0] != end.shape[0] or front.shape[2:] != end.shape[2:]:
        shapes = f"{tuple(front.shape[1:])} and {tuple(end.shape[1:])}"
        raise InputError(
            f"front layer '{pair[0]}' and end layer '{pair[1]}' have other spatial sizes: {shapes}",
            where="front_layer, end_layer",
            do="choose layers of the same height and width",
        )
