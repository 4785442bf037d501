"""Owns the coordinates of a layer along its principal components, in which a lower rank is a shorter prefix.

The components are those of the channels (vectors and tokens: of their last axis) over all images and positions, as for a
low-rank stitch and a low-rank comparison: one subspace of the layer, whatever the view that makes rows of it.
"""

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from repsim.similarity import fit
from repsim.similarity.fit import Shape
from repsim.stitching.moments import Moments, principal


@dataclass(frozen=True)
class Basis:
    """Principal components of the channels of a layer, and how its rows are made of channels.

    Attributes:
        vectors: orthonormal columns (c, c), fp64, the largest variance first.
        mean: of the channels (c,).
        variances: along the components (c,), as shares of their sum.
        positions: m, how many positions stand in a row of m·c values.
        last: whether the channels of a position stand side by side in a row (tokens), and not the positions of a channel (maps).
    """

    vectors: Tensor
    mean: Tensor
    variances: Tensor
    positions: int = 1
    last: bool = False

    def turn(self, rows: Tensor) -> Tensor:
        """Rows (…, m·c) → coordinates (…, c·m), those of the first component first: rank r is the first r·m of them."""
        return (self.vectors.to(rows).mT @ self._apart(rows)).flatten(-2)

    def back(self, coordinates: Tensor) -> Tensor:
        """Coordinates (…, c·m) → rows (…, m·c)."""
        rows = self.vectors.to(coordinates) @ coordinates.unflatten(-1, (len(self.vectors), self.positions))
        return (rows.mT if self.last else rows).flatten(-2)

    def middle(self) -> Tensor:
        """The mean as a row (m·c,)."""
        repeated = self.mean[:, None].expand(-1, self.positions)
        return (repeated.mT if self.last else repeated).flatten()

    def explained(self, rank: int | None) -> float:
        """Share of the variance of the layer that its best approximation of this rank keeps."""
        return 1.0 if rank is None else min(1.0, float(self.variances[:rank].sum()))

    def kept(self, rank: int | None) -> int:
        """How many coordinates of a row are left at this rank."""
        return (len(self.vectors) if rank is None else rank) * self.positions

    def _apart(self, rows: Tensor) -> Tensor:
        """(…, c, m)."""
        shape = (self.positions, len(self.vectors)) if self.last else (len(self.vectors), self.positions)
        apart = rows.unflatten(-1, shape)
        return apart.mT if self.last else apart


def found(moments: Moments, shape: Shape, view: str) -> Basis:
    """The basis for rows in `view` of a layer of this shape, from the moments of its channels at every position.

    Raises NotFinite for activations that are not finite.
    """
    vectors, mean = principal(moments, len(moments.xx))
    power = (vectors * (moments.xx @ vectors)).sum(0).clamp(min=0)
    total = power.sum()
    shares = power / total if total > 0 else torch.zeros_like(power)
    whole = view == "flatten" and len(shape) > 1
    return Basis(vectors, mean, shares, prod(shape) // fit.channels(shape) if whole else 1, len(shape) == 2)


def whole(width: int, like: Tensor) -> Basis:
    """Of rows that are only asked for as they are: nothing turns."""
    one = like.new_ones(1)
    return Basis(one[None], 0 * one, one, width)
