"""Owns what makes a function of moments a measure: it can be called with two tensors, and says what chance would give."""

from collections.abc import Callable
from dataclasses import replace
from functools import update_wrapper
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from repsim.similarity.moments import PairMoments, between, check
from repsim.similarity.options import need_known
from repsim.similarity.products import rounding, summable
from repsim.similarity.similarity import NOT_FINITE, OK, TWO, Similarity, undefined

Closed = Callable[..., float | None]
"""(moments, **options) → the exact mean over all permutations of the images of y; None where undefined."""


class MomentMeasure:
    """A measure of two representations that needs no more than their moments.

    Attributes:
        null: its mean over permutations of the images of y in closed form, for one row per image; None: there is none known,
            and the measure of shifted pairs takes its place (every image of x meets the one before it of y, in the order given).
        unbiased: whether it reads `PairMoments.unbiased`.
        rotations: whether orthogonal maps of either side, and columns of zeros, change nothing.
        of_two: whether two rows have a number that their values decide: not so of what is centred and then turned or scaled.
    """

    __name__: str

    def __init__(self, function: Callable[..., Similarity], null: Closed | None, unbiased: bool, rotations: bool, of_two: bool):
        self._function, self.null, self.unbiased, self.rotations, self.of_two = function, null, unbiased, rotations, of_two
        self._options = list(signature(function).parameters)[1:]
        update_wrapper(self, function)

    def __call__(self, x: Tensor, y: Tensor, **options: Any) -> Similarity:
        """Of x (n, p) and y (n, q), or of m rows per image, (n, m, p) and (n, m, q); with its null. Any float type, any device.

        Raises InputError for tensors that are no such pair, and for options that it does not have.
        """
        check(x, y)
        came = rounding(x), rounding(y)
        x, y = (_narrow(side) if self.rotations else side for side in (x, y))
        moments = replace(between(x, y), rounding=came)
        found = self.of(moments, **options)
        if self.closed(moments.positions):
            return self.with_formula(found, moments, **options)
        return found.with_null(
            self.of(replace(between(x, y.roll(1, 0)), rounding=came), **options).value if len(x) > 1 else None, shifted=True
        )

    def of(self, moments: PairMoments, **options: Any) -> Similarity:
        """Of moments; without a null. Undefined where LAPACK cannot factor them."""
        self._check(options)
        if not moments.finite():
            return undefined(NOT_FINITE)
        try:
            found = self._function(moments, **options)
        except ArithmeticError as error:
            return undefined(str(error))
        decided = moments.rows > 2 or self.of_two or found.status != OK
        return found if decided else replace(found, status=TWO)

    def closed(self, positions: int) -> bool:
        """Whether the null of representations with so many rows per image has a formula."""
        return self.null is not None and positions == 1

    def with_formula(self, found: Similarity, moments: PairMoments, **options: Any) -> Similarity:
        """`found`, of these moments, with its null in closed form; without one where it is undefined."""
        assert self.null is not None, "no closed form"
        return found if found.value is None else found.with_null(self.null(moments, **options))

    def _check(self, options: dict[str, Any]) -> None:
        need_known(self.__name__, options, self._options)


def moment_measure(
    null: Closed | None = None, unbiased: bool = False, rotations: bool = False, of_two: bool = False
) -> Callable[[Callable[..., Similarity]], MomentMeasure]:
    """Make a measure of a function (moments: PairMoments, **options) → Similarity; keeps its docstring."""
    return lambda function: MomentMeasure(function, null, unbiased, rotations, of_two)


def _narrow(side: Tensor) -> Tensor:
    """Rows wider than there are of them, in coordinates of the space they span: the same distances, lengths and mean's length.

    X_cᵀ = QR, so that the rows of Rᵀ are those of X_c turned; the mean gets a column of its own.
    """
    rows = summable(side).reshape(-1, side.shape[-1])
    if len(rows) >= side.shape[-1]:
        return side
    mean = rows.mean(0)
    turned = torch.linalg.qr((rows - mean).mT, mode="r").R.mT
    return torch.cat((turned, mean.norm().expand(len(rows), 1)), -1).reshape(*side.shape[:-1], -1)
