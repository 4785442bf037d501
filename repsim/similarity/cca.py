"""Owns the measures that no invertible linear map changes: canonical correlations and what is averaged from them.

Canonical correlations ρ are the singular values of Q_xᵀQ_y, Q orthonormal bases of the centred rows (Hotelling 1936). From
moments Q_xᵀQ_y = W_xᵀS_xyW_y, W the whitening of each layer. All need r_x + r_y ≤ n − 1: at least r_x + r_y − (n − 1)
correlations are 1 whatever the data, and the status says so.
"""

import torch
from torch import Tensor

from repsim.errors import InputError
from repsim.similarity.measure import moment_measure
from repsim.similarity.moments import PairMoments
from repsim.similarity.similarity import OK, Similarity, undefined
from repsim.similarity.singular import singular_values
from repsim.similarity.spectrum import Basis, crowded, spectra
from repsim.stitching.moments import solvable

VARIANCE = 0.99


def _null_squared(m: PairMoments) -> float:
    """E Σρ² = r_x r_y / (n − 1) over permutations of the images."""
    x, y = (spectrum.whitening.rank for spectrum in spectra(m))
    return max(x, y) / (m.rows - 1)


def _null_components(m: PairMoments, variance: float = VARIANCE) -> float:
    x, y = (basis.rank for basis in _components(m, variance))
    return max(x, y) / (m.rows - 1)


@moment_measure(rotations=True)
def cca(m: PairMoments) -> Similarity:
    """Mean canonical correlation ρ̄ = Σρ_i / min(r_x, r_y) (Raghu et al. 2017; Kornblith et al. 2019, table 1).

    r_x and r_y are the ranks of the centred x (n, p) and y (n, q), which are p and q for ordinary data. In [0, 1]; symmetric.
    Unchanged by translations and invertible linear maps of either side. Details: rank_x, rank_y. Where r_x + r_y > n − 1
    the status says that the value means nothing; undefined for a constant layer.
    """
    if (why := m.constant()) is not None:
        return undefined(why)
    x, y = (spectrum.whitening for spectrum in spectra(m))
    return _read(m, _correlations(m, x, y).mean(), rank_x=x.rank, rank_y=y.rank)


@moment_measure(null=_null_squared, rotations=True)
def cca_squared(m: PairMoments) -> Similarity:
    """R²_CCA = Σρ_i² / min(r_x, r_y) (Kornblith et al. 2019, table 1). Null: max(r_x, r_y) / (n − 1).

    Else as `cca`.
    """
    if (why := m.constant()) is not None:
        return undefined(why)
    x, y = (spectrum.whitening for spectrum in spectra(m))
    return _read(m, _mean_square(m, x, y), rank_x=x.rank, rank_y=y.rank)


@moment_measure(rotations=True)
def svcca(m: PairMoments, variance: float = VARIANCE) -> Similarity:
    """ρ̄ of the fewest principal components of each side that hold `variance` of Σσ² (Raghu et al. 2017, section 2).

    The share is one of squared singular values, in (0, 1]; the mean is over min(k_x, k_y). In [0, 1]; symmetric. Unchanged by
    translations, orthogonal maps and isotropic scales, not by other linear maps. Details: components_x, components_y.
    Where k_x + k_y > n − 1 the status says that the value means nothing; undefined for a constant layer.
    """
    _need_share(variance)
    if (why := m.constant()) is not None:
        return undefined(why)
    x, y = _components(m, variance)
    return _read(m, _correlations(m, x, y).mean(), components_x=x.rank, components_y=y.rank)


@moment_measure(null=_null_components, rotations=True)
def svcca_squared(m: PairMoments, variance: float = VARIANCE) -> Similarity:
    """Σρ_i² / min(k_x, k_y) of the components that `svcca` takes. Null: max(k_x, k_y) / (n − 1).

    Else as `svcca`.
    """
    _need_share(variance)
    if (why := m.constant()) is not None:
        return undefined(why)
    x, y = _components(m, variance)
    return _read(m, _mean_square(m, x, y), components_x=x.rank, components_y=y.rank)


@moment_measure()
def pwcca(m: PairMoments) -> Similarity:
    """Σα_iρ_i / Σα_i, α_i = Σ_j |⟨h_i, x_j⟩|, h_i the canonical variates of x, x_j its centred columns (Morcos et al. 2018).

    Section 3 there. ⟨h_i, x_j⟩ = (UᵀW_xᵀS_xx)_ij with U the left singular vectors of W_xᵀS_xyW_y. In [0, 1]; not symmetric: x
    weighs. Unchanged by translations and isotropic scales of x, and by translations and invertible linear maps of y; not by
    rotations of x. Details and status as for `cca`.
    """
    if (why := m.constant()) is not None:
        return undefined(why)
    x, y = (spectrum.whitening for spectrum in spectra(m))
    left, values = _variates(m, x, y)
    weights = (left.mT @ x.loadings).abs().sum(-1)
    return _read(m, (weights * values).sum() / weights.sum(), rank_x=x.rank, rank_y=y.rank)


@moment_measure()
def pwcca_reversed(m: PairMoments) -> Similarity:
    """`pwcca` with y in the place of x: the columns of y weigh. Details: rank_x and rank_y are still those of x and of y."""
    if (why := m.constant()) is not None:
        return undefined(why)
    found = pwcca.of(m.swapped())
    if found.value is None:
        return found
    x, y = (spectrum.whitening.rank for spectrum in spectra(m))
    return Similarity(found.value, crowded(m, x, y) or OK, details={"rank_x": x, "rank_y": y})


def cross(m: PairMoments, x: Basis, y: Basis) -> Tensor:
    """Q_xᵀQ_y (r_x, r_y)."""
    return x.weights.mT @ m.xy @ y.weights


def _correlations(m: PairMoments, x: Basis, y: Basis) -> Tensor:
    """ρ (min(r_x, r_y),), without what rounding pushed over 1."""
    return singular_values(cross(m, x, y)).clamp(max=1.0)


@solvable()
def _variates(m: PairMoments, x: Basis, y: Basis) -> tuple[Tensor, Tensor]:
    """The canonical variates of x in the basis of x, as columns, and ρ. By SVD: squaring would mix the variates of small ρ."""
    left, values, _ = torch.linalg.svd(cross(m, x, y), full_matrices=False)
    return left, values.clamp(max=1.0)


def _mean_square(m: PairMoments, x: Basis, y: Basis) -> Tensor:
    return (cross(m, x, y).square().sum() / min(x.rank, y.rank)).clamp(max=1.0)


def _components(m: PairMoments, variance: float) -> tuple[Basis, Basis]:
    x, y = spectra(m)
    return x.components(variance), y.components(variance)


def _read(m: PairMoments, value: Tensor, **ranks: int) -> Similarity:
    return Similarity(value.item(), crowded(m, *ranks.values()) or OK, details=ranks)


def _need_share(variance: float) -> None:
    if not 0.0 < variance <= 1.0:
        raise InputError(f"{variance} is no share of the variance", where="variance", do="choose a number above 0 and up to 1")
