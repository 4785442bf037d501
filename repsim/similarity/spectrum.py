"""Owns what follows from the second moments of one layer alone: spread, spectrum, whitening; each computed once per layer."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from repsim.similarity.moments import PairMoments
from repsim.stitching.moments import solvable
from repsim.stitching.regression import SAFETY

EPS = torch.finfo(torch.float64).eps


class Basis(NamedTuple):
    """Orthonormal directions of the centred rows: X_c·weights has orthonormal columns, and loadings = (X_c·weights)ᵀX_c.

    weights is (p, r), loadings (r, p).
    """

    weights: Tensor
    loadings: Tensor

    @property
    def rank(self) -> int:
        return self.weights.shape[-1]


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Of `rows` values: the centred sum S = Σ(x−x̄)(x−x̄)ᵀ (p, p) and the mean (p,), fp64.

    `noise` is the relative rounding of S: directions below it carry nothing. `rounding` is that of the values: channels that vary
    by less are constant.
    """

    gram: Tensor
    mean: Tensor
    rows: int
    noise: float = EPS
    rounding: float = EPS

    @property
    def width(self) -> int:
        return len(self.gram)

    @cached_property
    def power(self) -> Tensor:
        """tr S = ‖X_c‖², 0-d."""
        return self.gram.trace()

    @cached_property
    def raw_power(self) -> Tensor:
        """Σx² of every channel (p,), not centred."""
        return self.gram.diagonal() + self.rows * self.mean.square()

    @cached_property
    def alive(self) -> Tensor:
        """Which channels (p,) vary by more than their own rounding."""
        return self.gram.diagonal() > (SAFETY * self.rounding) ** 2 * self.raw_power

    @cached_property
    def spread(self) -> Tensor:
        """√S_ii (p,), 1 where a channel is constant."""
        power = self.gram.diagonal()
        return torch.where(self.alive, power, torch.ones_like(power)).sqrt()

    @cached_property
    @solvable()
    def eigen(self) -> tuple[Tensor, Tensor]:
        """Eigenvalues of S (p,), largest first and none below 0, and eigenvectors as columns (p, p)."""
        values, vectors = torch.linalg.eigh(self.gram)
        return values.flip(-1).clamp(min=0.0), vectors.flip(-1)

    @cached_property
    def rank(self) -> int:
        """How many eigenvalues of S are more than rounding, at most rows − 1."""
        return self._rank(self.eigen[0])

    @cached_property
    @solvable()
    def whitening(self) -> Basis:
        """All directions that carry anything: W = D⁻¹VΛ^{−½} of the correlations D⁻¹SD⁻¹ = VΛVᵀ.

        Of channels of unit spread, since rounding is relative to each channel's own size: where the rank is cut does
        not depend on the scales of the channels.
        """
        unit = self.alive / self.spread
        values, vectors = torch.linalg.eigh(unit[:, None] * self.gram * unit)
        kept = len(values) - self._rank(values)
        roots, vectors = values[kept:].sqrt(), vectors[:, kept:]
        return Basis(unit[:, None] * vectors / roots, (self.spread[:, None] * vectors * roots).mT)

    def components(self, variance: float) -> Basis:
        """The fewest principal components that hold the share `variance` of tr S."""
        values, vectors = self.eigen[0][: self.rank], self.eigen[1]
        held = values.cumsum(0) / values.sum()
        count = min(self.rank, 1 + int((held < variance - self.width * EPS).sum()))
        roots, vectors = values[:count].sqrt(), vectors[:, :count]
        return Basis(vectors / roots, (vectors * roots).mT)

    def _rank(self, values: Tensor) -> int:
        floor = SAFETY * self.noise + self.width * EPS  # the part of the largest eigenvalue that is rounding
        return min(self.rows - 1, int((values > floor * values.max()).sum()))


def spectra(m: PairMoments) -> tuple[Spectrum, Spectrum]:
    """Front and end, each the same object for all pairs that share it."""
    x = m.once_x(Spectrum, m.mean_x, m.rows, m.noise, m.noise_x)
    return x, m.once_y(Spectrum, m.mean_y, m.rows, m.noise, m.noise_y)


def crowded(m: PairMoments, x: int, y: int) -> str | None:
    """The status where bases of `x` and `y` directions must meet in the n − 1 that there are; None where they need not."""
    if x + y <= m.rows - 1:
        return None
    return f"ranks {x} + {y} exceed n − 1 = {m.rows - 1}: correlations of 1 by construction"
