"""Owns the sums of products of two sides over a stream of images: every front layer of a table times every end layer at once.

One product of all columns of both sides serves all pairs. With `unbiased`, rows and images carry one column more, so
that the same product gives what the unbiased estimate needs (see `ustatistic`).
"""

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from repsim.similarity.ustatistic import Sums

BLOCK = 8192  # rows whose products are summed in the precision of the products
ROOM = 2**24  # numbers held for the products within images


class Rows:
    """The shifted rows (n, m, p) of one layer in a batch."""

    def __init__(self, values: Tensor):
        self.values = values

    @cached_property
    def sums(self) -> Tensor:
        """s_i (n, p)."""
        return self.values.sum(1)

    @cached_property
    def rows(self) -> Tensor:
        """[X_i, X_i s_i] (n, m, p + 1)."""
        return torch.cat((self.values, self.values @ self.sums[..., None]), -1)

    @cached_property
    def images(self) -> Tensor:
        """[s_i, ‖s_i‖²] (n, p + 1)."""
        return torch.cat((self.sums, self.sums.square().sum(1, keepdim=True)), -1)

    def part(self, images: slice) -> "Rows":
        """Of some images, with what is known already."""
        found = Rows(self.values[images])
        found.__dict__.update({name: made[images] for name, made in self.__dict__.items()})
        return found


class Side:
    """Images, sums and squared norms of the sums of one layer, by group."""

    def __init__(self, groups: int, like: Tensor):
        """`like`: a row (p,), for its width and device."""
        start = summable(like)
        self.counts = [0] * groups
        self.norms, self.total = start.new_zeros(groups), start.new_zeros(groups, len(like))

    def add(self, group: int, layer: Rows) -> None:
        sums = summable(layer.sums)
        self.counts[group] += len(sums)
        self.norms[group] += sums.square().sum()
        self.total[group] += sums.sum(0)

    def whole(self) -> "Side":
        """The same with all images in one group."""
        found = Side(1, self.total[0])
        found.counts, found.norms, found.total = [sum(self.counts)], self.norms.sum(0, True), self.total.sum(0, True)
        return found


class Table:
    """Sums of products of every front with every end layer by group, all with the same number m of rows per image."""

    _rows: Tensor  # (g, columns of all fronts, columns of all ends)
    _images: Tensor  # likewise, of the sums over rows
    _squares: Tensor  # (g, fronts, ends)

    def __init__(self, groups: int, unbiased: bool):
        self._groups, self._unbiased, self._begun = groups, unbiased, False

    def add(self, group: int, fronts: Sequence[Rows], ends: Sequence[Rows]) -> None:
        """Add images of one group: the layers of both sides, always in the same order."""
        if not self._begun:
            self._begin(fronts, ends)
        if not len(fronts[0].values):
            return
        x, y = _joined(fronts, self._unbiased), _joined(ends, self._unbiased)
        _add(self._rows[group], x.flatten(0, 1), y.flatten(0, 1))
        if self._apart:
            _add(self._images[group], *(torch.cat([layer.images for layer in side], -1) for side in (fronts, ends)))
            self._squares[group] += _squares(x, y, self._x, self._y)

    def products(self, front: int, end: int) -> Tensor:
        """Σ C_i (g, p, q) of the front and end layer with these numbers."""
        return self._rows[:, self._x[front], self._y[end]]

    def sums(self, front: int, end: int, x: Side, y: Side) -> Sums:
        """What the unbiased estimate needs of this pair; `x` and `y`: the two layers."""
        assert self._unbiased, "the table was not asked for the unbiased estimate"
        at, to, rows = self._x[front], self._y[end], self._rows
        images = self._images if self._apart else rows  # one row is its own sum
        through = rows[:, at.stop, to.stop]
        return Sums(
            counts=x.counts,
            sum_x=x.total,
            sum_y=y.total,
            norms_x=x.norms,
            norms_y=y.norms,
            products=rows[:, at, to],
            squares=self._squares[:, front, end] if self._apart else through,
            through_x=rows[:, at.stop, to],
            through_y=rows[:, at, to.stop],
            through=through,
            outer=images[:, at, to],
            weighed_x=images[:, at.stop, to],
            weighed_y=images[:, at, to.stop],
            weighed=images[:, at.stop, to.stop],
        )

    def _begin(self, fronts: Sequence[Rows], ends: Sequence[Rows]) -> None:
        one = fronts[0].values
        self._x, self._y = _columns(fronts, self._unbiased), _columns(ends, self._unbiased)
        self._rows = summable(one.new_zeros(())).new_zeros(
            self._groups, _width(fronts, self._unbiased), _width(ends, self._unbiased)
        )
        self._apart = self._unbiased and one.shape[1] > 1
        if self._apart:
            self._images = torch.zeros_like(self._rows)
            self._squares = self._rows.new_zeros(self._groups, len(fronts), len(ends))
        self._begun = True


def rounding(tensor: Tensor) -> float:
    """Relative rounding of the numbers in a tensor; of a type shorter than fp32 that of fp32, as in a pass over a network."""
    return torch.finfo(torch.promote_types(tensor.dtype, torch.float32)).eps


def summable(tensor: Tensor) -> Tensor:
    """In fp64 (on the CPU for MPS, which has none)."""
    return tensor.cpu().double() if tensor.device.type == "mps" else tensor.double()


def aligned(rows: Tensor, mean: Tensor) -> Tensor:
    """Σ_j μ_j²σ_j² / (Σμ² Σσ²), 0-d in fp64; 1 where nothing varies, or around 0 alone.

    Which part of ‖δ‖²‖x‖² the mean of ⟨δ, x⟩² is: δ the rounding of an image around the mean μ, x what another one differs from
    it, σ² its variance. The numbers of an image are rounded each by itself, and δ does not point where x does.

    Args:
        rows: (n, …), images; `mean`: (…), theirs.
    """
    level, spread = summable(mean).square(), summable(torch.linalg.vector_norm(rows - mean, dim=0)).square()
    whole = level.sum() * spread.sum()
    return torch.where(whole > 0, (level * spread).sum() / whole, 1.0)


def _add(total: Tensor, x: Tensor, y: Tensor) -> None:
    """total += Σ xᵀy over rows (r, ·), in blocks."""
    for one, other in zip(x.split(BLOCK), y.split(BLOCK), strict=True):
        total += (one.mT @ other).to(total.device)


def _joined(layers: Sequence[Rows], unbiased: bool) -> Tensor:
    """(n, m, columns of all layers)."""
    parts = [layer.rows if unbiased else layer.values for layer in layers]
    return parts[0] if len(parts) == 1 else torch.cat(parts, -1)


def _columns(layers: Sequence[Rows], unbiased: bool) -> list[slice]:
    """Where the values of each layer are; the column behind them is the added one."""
    found, at = [], 0
    for layer in layers:
        width = layer.values.shape[-1]
        found.append(slice(at, at + width))
        at += width + unbiased
    return found


def _width(layers: Sequence[Rows], unbiased: bool) -> int:
    return sum(layer.values.shape[-1] + unbiased for layer in layers)


def _squares(x: Tensor, y: Tensor, fronts: Sequence[slice], ends: Sequence[slice]) -> Tensor:
    """Σ‖C_i‖² (fronts, ends), from XᵢXᵢᵀ and YᵢYᵢᵀ or from the C_i themselves, whichever takes less; fp64.

    x (n, m, ·) and y are of all layers, `fronts` and `ends` where each of them is.
    """
    positions, p, q = x.shape[1], x.shape[2], y.shape[2]
    by_rows = positions * (p + q + len(fronts) * len(ends)) < p * q
    held = positions**2 * (len(fronts) + len(ends)) if by_rows else p * q
    step, take = max(1, ROOM // held), _squares_by_rows if by_rows else _squares_by_columns
    parts = zip(x.split(step), y.split(step), strict=True)
    return torch.stack([take(one, other, fronts, ends) for one, other in parts]).sum(0)


def _squares_by_rows(x: Tensor, y: Tensor, fronts: Sequence[slice], ends: Sequence[slice]) -> Tensor:
    one, other = (_grams(side, columns) for side, columns in ((x, fronts), (y, ends)))
    return summable(one @ other.mT)


def _grams(side: Tensor, columns: Sequence[slice]) -> Tensor:
    """XᵢXᵢᵀ of each layer (layers, n · m · m)."""
    return torch.stack([(side[..., at] @ side[..., at].mT).flatten() for at in columns])


def _squares_by_columns(x: Tensor, y: Tensor, fronts: Sequence[slice], ends: Sequence[slice]) -> Tensor:
    squares = summable((x.mT @ y).square().sum(0))
    return torch.stack([torch.stack([squares[at, to].sum() for to in ends]) for at in fronts])
