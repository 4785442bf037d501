"""Owns the measures of shape: how near x comes to y by a rotation, in every scaling that is in use.

The core is ν = ‖S_xy‖_* / (‖X_c‖_F ‖Y_c‖_F) in [0, 1], ‖·‖_* the sum of singular values: the best inner product over orthogonal
maps (Schönemann 1966). Widths may differ: a rectangular S_xy stands for zero-padding. Unchanged by translations, orthogonal
maps (so permutations too) and isotropic scales of either side, but for `procrustes_size_and_shape`, which knows the scale.
ν of unrelated layers is far from 0 where n is not large beside p (0.42 for n = 1,000, p = q = 256): read it beside its null.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from repsim.errors import InputError
from repsim.similarity.measure import moment_measure
from repsim.similarity.moments import PairMoments
from repsim.similarity.similarity import OK, Similarity, undefined
from repsim.similarity.singular import nuclear
from repsim.similarity.spectrum import Spectrum, crowded, spectra


@moment_measure(rotations=True)
def nbs(m: PairMoments) -> Similarity:
    """ν, the normalised Bures similarity; the cosine of `procrustes_angular` (Harvey et al. 2023). In [0, 1].

    Symmetric; undefined for a constant layer.
    """
    return _core(m)


@moment_measure(rotations=True)
def procrustes(m: PairMoments) -> Similarity:
    """√(2 − 2ν) = min_Q ‖X̂Q − Ŷ‖_F of unit-norm X̂, Ŷ (Ding et al. 2021 have its square). In [0, √2]; a metric.

    Symmetric; undefined for a constant layer.
    """
    return _scaled(m, lambda nu: math.sqrt(2 - 2 * nu))


@moment_measure(rotations=True)
def procrustes_squared(m: PairMoments) -> Similarity:
    """2 − 2ν (Ding et al. 2021). In [0, 2]; symmetric; undefined for a constant layer."""
    return _scaled(m, lambda nu: 2 - 2 * nu)


@moment_measure(rotations=True)
def procrustes_half(m: PairMoments) -> Similarity:
    """1 − ν, half of `procrustes_squared`. In [0, 1]; symmetric; undefined for a constant layer."""
    return _scaled(m, lambda nu: 1 - nu)


@moment_measure(rotations=True)
def procrustes_angular(m: PairMoments) -> Similarity:
    """arccos ν, the Riemannian shape distance (Williams et al. 2021). In [0, π/2] radians; a metric.

    Symmetric; undefined for a constant layer.
    """
    return _scaled(m, math.acos)


@moment_measure(rotations=True)
def procrustes_scaled(m: PairMoments) -> Similarity:
    """1 − ν² = min_{Q, s} ‖sX̂Q − Ŷ‖²_F with the best scale s, `scipy.spatial.procrustes`' disparity. In [0, 1].

    Symmetric; undefined for a constant layer.
    """
    return _scaled(m, lambda nu: 1 - nu * nu)


@moment_measure(rotations=True, of_two=True)
def procrustes_size_and_shape(m: PairMoments) -> Similarity:
    """√(‖X_c‖² + ‖Y_c‖² − 2‖S_xy‖_*) = min_Q ‖X_cQ − Y_c‖_F (Williams et al. 2021, Euclidean). In [0, ∞); a metric.

    In the units of the activations, and growing with √n. Symmetric. Unchanged by translations and orthogonal maps; scales
    change it. Undefined for a constant layer.
    """
    if (why := m.constant()) is not None:
        return undefined(why)
    x, y = spectra(m)
    return Similarity((x.power + y.power - 2 * m.once(_nuclear)).clamp(min=0.0).sqrt().item())


@moment_measure(of_two=True)
def ortho_procrustes(m: PairMoments) -> Similarity:
    """1 − ½√(2 − 2ν₀), ν₀ = ‖XᵀY‖_* / (‖X‖_F ‖Y‖_F) of rows that are not centred (Godfrey et al. 2022, section 5).

    In [1 − 1/√2, 1]: 0.29 is what orthogonal layers score. Symmetric. Unchanged by orthogonal maps and isotropic scales, not
    by translations. Undefined for a layer of zeros.
    """
    x, y = (spectrum.raw_power.sum() for spectrum in spectra(m))
    if not (x > 0 and y > 0):
        return undefined("constant layer (zero)")
    inner = m.xy + m.rows * torch.outer(m.mean_x, m.mean_y)
    return Similarity(1 - math.sqrt(2 - 2 * _cosine(nuclear(inner), x, y)) / 2)


@moment_measure(rotations=True)
def shape(m: PairMoments, alpha: float = 1.0) -> Similarity:
    """arccos ν of X_cW_x and Y_cW_y, W = αI + (1 − α)S^{−½} times what keeps tr S (Williams et al. 2021, partial whitening).

    `alpha` in [0, 1]. α = 1 is `procrustes_angular`; α = 0 is arccos(Σρ / √(r_x r_y)), ρ the canonical correlations, which is
    the arccosine of `cca` for equal ranks. In [0, π/2] radians; a metric for every α; symmetric. Unchanged by translations and
    orthogonal maps; by isotropic scales for α = 0 and 1 only (S is the sum over the n images and has its units), by
    invertible linear maps for α = 0 only. Details: rank_x, rank_y. At α = 0 the status says where r_x + r_y > n − 1.
    Undefined for a constant layer.
    """
    if not 0.0 <= alpha <= 1.0:
        raise InputError(f"an alpha of {alpha} is between no two shapes", where="alpha", do="choose a number from 0 to 1")
    if (why := m.constant()) is not None:
        return undefined(why)
    if alpha == 1:
        return _scaled(m, math.acos)
    x, y = spectra(m)
    status = None if alpha else crowded(m, x.rank, y.rank)
    return Similarity(math.acos(_whitened(m, x, y, alpha)), status or OK, details={"rank_x": x.rank, "rank_y": y.rank})


def _core(m: PairMoments) -> Similarity:
    """ν."""
    if (why := m.constant()) is not None:
        return undefined(why)
    x, y = spectra(m)
    return Similarity(_cosine(m.once(_nuclear), x.power, y.power))


def _scaled(m: PairMoments, scaling: Callable[[float], float]) -> Similarity:
    core = _core(m)
    return core if core.value is None else Similarity(scaling(core.value))


def _nuclear(m: PairMoments) -> Tensor:
    """‖S_xy‖_*; of fewer rows than channels within the n − 1 directions that there are."""
    most = m.rows - 1
    if most >= min(m.xy.shape):
        return nuclear(m.xy)
    x, y = spectra(m)
    return nuclear(x.eigen[1][:, :most].mT @ m.xy @ y.eigen[1][:, :most])


def _whitened(m: PairMoments, x: Spectrum, y: Spectrum, alpha: float) -> float:
    """ν of the partly whitened rows; the factor that keeps tr S cancels."""
    (left, power_x), (right, power_y) = _partly(x, alpha), _partly(y, alpha)
    return _cosine(nuclear(left.mT @ m.xy @ right), power_x, power_y)


def _partly(spectrum: Spectrum, alpha: float) -> tuple[Tensor, Tensor]:
    """V(αI + (1 − α)Λ^{−½}) (p, r), and tr S of what it makes of the rows."""
    values, vectors = (part[..., : spectrum.rank] for part in spectrum.eigen)
    scales = alpha + (1 - alpha) * values.rsqrt()
    return vectors * scales, (scales.square() * values).sum()


def _cosine(inner: Tensor, power_x: Tensor, power_y: Tensor) -> float:
    """Without what rounding pushed over 1."""
    return min((inner / (power_x * power_y).sqrt()).item(), 1.0)
