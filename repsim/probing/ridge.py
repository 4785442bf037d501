"""Owns the closed-form probe: ridge regression of one-hot labels from moments, at every rank and for every λ."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from repsim.probing.basis import Basis
from repsim.stitching.moments import Moments, solvable

GRID = tuple(10.0 ** (k / 2) for k in range(4, -17, -1))
"""λ that validation chooses among, the largest first: 100 to 1e-8 by half powers of ten, in mean variances of a row's values."""


class Heads(NamedTuple):
    """K linear probes of one kind of rows: outputs = rows @ weight + bias; weight (K, p, C), bias (K, C), fp64."""

    weight: Tensor
    bias: Tensor

    def __call__(self, rows: Tensor) -> Tensor:
        """Outputs (K, n, C) of rows (n, p), all heads in one product."""
        flat = rows @ self.weight.movedim(0, 1).flatten(1)
        return flat.unflatten(-1, self.bias.shape).movedim(1, 0) + self.bias[:, None]


@solvable()
def solve(moments: Moments, basis: Basis, rank: int | None, lambdas: Sequence[float]) -> Heads:
    """One probe for each λ, of rows replaced by their approximation of `rank` (None: as they are).

    min_W,b Σ‖Wᵀx_r + b − y‖² + α‖W‖², α = λ · tr(S_r)/p: W = (S_r + αI)⁻¹S_r,xy and b = ȳ − Wᵀx̄, with S_r the centred sums of the
    approximated rows x_r. All λ come from one eigendecomposition of a matrix as wide as what is left at that rank. Equals
    scikit-learn's Ridge(alpha=α) on the approximated rows. A row that does not vary gives the mean of y.

    Args:
        moments: of rows x (p) and one-hot labels y (C).
        lambdas: each above 0.
    """
    moments.need_finite()
    kept = basis.kept(rank)
    gram = basis.turn(basis.turn(moments.xx).mT)[:kept, :kept]
    values, vectors = torch.linalg.eigh((gram + gram.mT) / 2)
    values = values.clamp(min=0)
    projected = vectors.mT @ basis.turn(moments.xy.mT).mT[:kept]
    alphas = values.new_tensor(lambdas) * values.sum() / len(moments.xx)
    shrunk = values[:, None] + alphas
    inverse = torch.where(shrunk > 0, 1 / shrunk.clamp(min=torch.finfo(shrunk.dtype).tiny), torch.zeros_like(shrunk))
    inner = vectors @ (inverse.mT[:, :, None] * projected)  # (λ, kept, C)
    whole = torch.nn.functional.pad(inner, (0, 0, 0, len(moments.xx) - kept))
    weight = basis.back(whole.mT).mT
    return Heads(weight, moments.mean_y - moments.mean_x @ weight)


def best(accuracies: Sequence[float], briers: Sequence[float]) -> int:
    """Which λ of a path validation chooses: the highest accuracy, then the least squared error, then the first, largest λ."""
    return max(range(len(accuracies)), key=lambda place: (accuracies[place], -briers[place], -place))
