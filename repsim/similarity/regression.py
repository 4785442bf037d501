"""Owns the measures of how well linear maps predict: R² of regression and ridge, and the disagreement of predictors (GULP).

A ridge predictor on x is P_x = X_c(S_xx + αI)⁻¹X_cᵀ = Q_x diag(s) Q_xᵀ with orthonormal Q_x and shares s = λ / (λ + α), λ the
eigenvalues of S_xx; all measures follow from Q_x, s and the same of y. `ridge` is α relative to the mean variance of the p
channels, α = ridge · tr S_xx / p, so that scales do not matter; ridge = 0 is least squares, s = 1. There is an intercept, and
R² is of the very rows that the map was fitted to: unrelated layers share r_x / (n − 1) by chance.
"""

import math
from typing import NamedTuple

from torch import Tensor

from repsim.errors import InputError
from repsim.similarity.cca import cross
from repsim.similarity.measure import moment_measure
from repsim.similarity.moments import PairMoments
from repsim.similarity.similarity import OK, Similarity, undefined
from repsim.similarity.spectrum import Basis, Spectrum, crowded, spectra

RIDGE = 0.01


class _Predictor(NamedTuple):
    basis: Basis
    shares: Tensor  # s (r,)

    @property
    def explained(self) -> Tensor:
        """2s − s²: the share of ‖Q_x,iᵀY_c‖² that the prediction explains, (r,)."""
        return self.shares * (2 - self.shares)


def _null_ridge(m: PairMoments, ridge: float = RIDGE) -> float:
    """E‖Q_x,iᵀY_c‖² = ‖Y_c‖² / (n − 1) over permutations of the images."""
    return _predictor(spectra(m)[0], ridge).explained.sum().item() / (m.rows - 1)


def _null_ridge_reversed(m: PairMoments, ridge: float = RIDGE) -> float:
    return _null_ridge(m.swapped(), ridge)


def _null_gulp(m: PairMoments, ridge: float = RIDGE) -> float:
    x, y = (_predictor(spectrum, ridge).shares for spectrum in spectra(m))
    return (x.square().sum() + y.square().sum() - 2 * x.sum() * y.sum() / (m.rows - 1)).item()


@moment_measure(null=lambda m: _null_ridge(m, 0.0), rotations=True)
def regression(m: PairMoments) -> Similarity:
    """R²(x → y) = ‖Q_xᵀY_c‖_F² / ‖Y_c‖_F², all channels of y together (Kornblith et al. 2019, table 1). In [0, 1].

    Null: r_x / (n − 1). Not symmetric. Unchanged by translations of either side, invertible linear maps of x, and orthogonal
    maps and isotropic scales of y. Details: rank_x. Where r_x ≥ n − 1 the status says that any y is fitted; undefined
    for a constant layer.
    """
    return _r_squared(m, 0.0)


@moment_measure(null=lambda m: _null_ridge_reversed(m, 0.0), rotations=True)
def regression_reversed(m: PairMoments) -> Similarity:
    """R²(y → x): `regression` with y in the place of x. Details: rank_y."""
    return _r_squared(m, 0.0, backwards=True)


@moment_measure(null=_null_ridge)
def ridge(m: PairMoments, ridge: float = RIDGE) -> Similarity:
    """R² = 1 − ‖X_cB − Y_c‖² / ‖Y_c‖² of B = (S_xx + αI)⁻¹S_xy, α = ridge · tr S_xx / p (Hoerl & Kennard 1970). In [0, 1].

    Null: Σ(2s − s²) / (n − 1). Not symmetric. Unchanged by translations, orthogonal maps and isotropic scales of either side;
    `ridge` 0 is `regression`. Details: rank_x. Undefined for a constant layer.
    """
    return _r_squared(m, ridge)


@moment_measure(null=_null_ridge_reversed)
def ridge_reversed(m: PairMoments, ridge: float = RIDGE) -> Similarity:
    """`ridge` with y in the place of x, α relative to the mean variance of y. Details: rank_y."""
    return _r_squared(m, ridge, backwards=True)


@moment_measure(null=_null_gulp)
def gulp(m: PairMoments, ridge: float = RIDGE) -> Similarity:
    """d² = tr(P_x²) + tr(P_y²) − 2 tr(P_xP_y) = ‖P_x − P_y‖_F² (Boix-Adserà et al. 2022). In [0, ∞), at most r_x + r_y.

    How far ridge predictors on x and on y disagree over all targets; squared, as the published code has it. Layers are of unit
    total variance there: the λ of the paper is ridge / p. With `ridge` 0, where most code leaves it, it is r_x + r_y − 2Σρ²
    of the canonical correlations ρ and says no more than `cca_squared`. Null: Σs_x² + Σs_y² − 2 Σs_x Σs_y / (n − 1).
    Symmetric. Unchanged by translations, orthogonal maps and isotropic scales; with `ridge` 0 by invertible linear maps.
    Details: rank_x, rank_y. With `ridge` 0 the status says where r_x + r_y > n − 1. Undefined for a constant layer.
    """
    _need_ridge(ridge)
    if (why := m.constant()) is not None:
        return undefined(why)
    x, y = (_predictor(spectrum, ridge) for spectrum in spectra(m))
    common = x.shares @ cross(m, x.basis, y.basis).square() @ y.shares
    value = x.shares.square().sum() + y.shares.square().sum() - 2 * common
    ranks = {"rank_x": x.basis.rank, "rank_y": y.basis.rank}
    status = None if ridge else crowded(m, *ranks.values())
    return Similarity(value.clamp(min=0.0).item(), status or OK, details=ranks)


def _r_squared(m: PairMoments, ridge: float, backwards: bool = False) -> Similarity:
    """R²(x → y), or R²(y → x) `backwards`."""
    _need_ridge(ridge)
    if (why := m.constant()) is not None:
        return undefined(why)
    pair = m.swapped() if backwards else m
    x, y = spectra(pair)
    fit = _predictor(x, ridge)
    value = (fit.explained @ (fit.basis.weights.mT @ pair.xy).square().sum(-1) / y.power).clamp(max=1.0).item()
    exhausted = not ridge and fit.basis.rank >= m.rows - 1
    status = f"rank {fit.basis.rank} of n − 1 = {m.rows - 1}: any target is fitted" if exhausted else OK
    return Similarity(value, status, details={"rank_y" if backwards else "rank_x": fit.basis.rank})


def _predictor(spectrum: Spectrum, ridge: float) -> _Predictor:
    if not ridge:
        basis = spectrum.whitening
        return _Predictor(basis, basis.weights.new_ones(basis.rank))
    basis = spectrum.components(1.0)
    values = spectrum.eigen[0][: basis.rank]
    return _Predictor(basis, values / (values + ridge * spectrum.power / spectrum.width))


def _need_ridge(ridge: float) -> None:
    if not (ridge >= 0 and math.isfinite(ridge)):
        raise InputError(f"a ridge of {ridge} is no penalty", where="ridge", do="choose a finite number, 0 or more")
