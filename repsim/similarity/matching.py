"""Owns the measures that match channels one to one: permutations, correlations, and G_ReLU (permutations with positive scales).

Matching is exact linear assignment (Kuhn 1955), on the CPU whatever the device. Widths may differ: the narrower layer is matched
whole, which is what zero-padding gives. Details: dead_x and dead_y, channels that have no direction to match.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from repsim.similarity.measure import moment_measure
from repsim.similarity.moments import PairMoments
from repsim.similarity.similarity import Similarity, undefined
from repsim.similarity.spectrum import Spectrum, spectra

ZERO = "constant layer (zero)"


@moment_measure(of_two=True)
def permutation_match(m: PairMoments) -> Similarity:
    """a = max_P tr(PᵀS_xy) / (‖X_c‖_F ‖Y_c‖_F), the analogue of ν for permutations (Williams et al. 2021). In [−1, 1], a ≤ ν.

    Symmetric. Unchanged by translations, permutations of the channels and isotropic positive scales. Undefined for a
    constant layer.
    """
    if (why := m.constant()) is not None:
        return undefined(why)
    x, y = spectra(m)
    return Similarity(_within(m.once(_assigned).sum() / (x.power * y.power).sqrt().item()))


@moment_measure(of_two=True)
def permutation_procrustes(m: PairMoments) -> Similarity:
    """√(2 − 2a) = min_P ‖X̂P − Ŷ‖_F of unit-norm X̂, Ŷ, `a` of `permutation_match`. In [0, 2]; a metric. Else as there."""
    return _scaled(m, lambda a: math.sqrt(2 - 2 * a))


@moment_measure(of_two=True)
def permutation_procrustes_squared(m: PairMoments) -> Similarity:
    """2 − 2a, `a` of `permutation_match`. In [0, 4]. Else as there."""
    return _scaled(m, lambda a: 2 - 2 * a)


@moment_measure(of_two=True)
def permutation_angular(m: PairMoments) -> Similarity:
    """arccos a, `a` of `permutation_match` (Williams et al. 2021). In [0, π] radians; a metric. Else as there."""
    return _scaled(m, math.acos)


@moment_measure()
def correlation_match(m: PairMoments) -> Similarity:
    """max_π mean_i r(x_i, y_π(i)), r Pearson's correlation: hard matching (Li et al. 2016). In [−1, 1]; symmetric.

    The mean is over the channels of the layer with fewer living ones; constant channels have no correlation and are left
    out. Unchanged by translations, permutations and positive scales of every channel. Undefined for a constant layer.
    """
    if (why := m.constant()) is not None:
        return undefined(why)
    return _counted(m, _within(assigned(_correlations(m)).mean()))


@moment_measure()
def correlation_match_soft(m: PairMoments) -> Similarity:
    """½(mean_i max_j r(x_i, y_j) + mean_j max_i r(x_i, y_j)), r Pearson's correlation (Li et al. 2016, semi-matching).

    In [−1, 1]; at least `correlation_match` where both have as many living channels. Else as there.
    """
    if (why := m.constant()) is not None:
        return undefined(why)
    matrix = _correlations(m)
    return _counted(m, _within(((matrix.amax(0).mean() + matrix.amax(1).mean()) / 2).item()))


@moment_measure(of_two=True)
def wreath_procrustes(m: PairMoments) -> Similarity:
    """1 − d, d² = (‖X̂‖² + ‖Ŷ‖² − 2a) / 4c, a = max_P tr(PᵀX̂ᵀŶ), X̂ of unit-norm channels (Godfrey et al. 2022, section 5).

    Not centred; a zero channel stays zero; c is the larger width. In [0, 1], and at least 1 − 1/√2 where no activation is
    negative. d² = (1 − ā) / 2 with ā of `wreath_cosine`, for equal widths and no dead channel. Symmetric. Unchanged by G_ReLU,
    that is permutations and positive scales of every channel; not by translations. Undefined for a layer of zeros.
    """
    (x, y), cosines = (_lit(spectrum) for spectrum in spectra(m)), _cosines(m)
    if not (x.any() and y.any()):
        return undefined(ZERO)
    distance = (int(x.sum()) + int(y.sum()) - 2 * assigned(cosines).sum()) / (4 * max(cosines.shape))
    return _dead(x, y, 1 - math.sqrt(max(distance, 0.0)))


@moment_measure(of_two=True)
def wreath_cosine(m: PairMoments) -> Similarity:
    """ā = max_π mean_i cos(x_i, y_π(i)) of channels that are not centred: what ν is for rotations, for G_ReLU.

    The mean is over the channels of the layer with fewer living ones; zero channels are left out. In [−1, 1], and at least 0
    where no activation is negative. Symmetric. Unchanged by permutations and positive scales of every channel, not by
    translations. Undefined for a layer of zeros.
    """
    x, y = (_lit(spectrum) for spectrum in spectra(m))
    if not (x.any() and y.any()):
        return undefined(ZERO)
    return _dead(x, y, _within(assigned(_cosines(m)[x][:, y]).mean()))


def assigned(scores: Tensor) -> np.ndarray:
    """The scores (min(p, q),) of the one-to-one matching of rows and columns with the largest sum, as NumPy fp64."""
    matrix = scores.detach().double().cpu().numpy()
    return matrix[linear_sum_assignment(matrix, maximize=True)]


def _assigned(m: PairMoments) -> np.ndarray:
    return assigned(m.xy)


def _correlations(m: PairMoments) -> Tensor:
    """Of the living channels."""
    x, y = spectra(m)
    matrix = m.xy / torch.outer(x.spread, y.spread)
    return matrix[x.alive][:, y.alive]


def _cosines(m: PairMoments) -> Tensor:
    """X̂ᵀŶ (p, q), 0 for a zero channel."""
    x, y = spectra(m)
    inner = m.xy + m.rows * torch.outer(m.mean_x, m.mean_y)
    return torch.outer(_inverse_norm(x), _inverse_norm(y)) * inner


def _lit(spectrum: Spectrum) -> Tensor:
    """Which channels (p,) are more than zero beside the largest, ε of fp64."""
    return spectrum.raw_power > spectrum.raw_power.max() * torch.finfo(torch.float64).eps ** 2


def _inverse_norm(spectrum: Spectrum) -> Tensor:
    norm = spectrum.raw_power.sqrt()
    return torch.where(_lit(spectrum), 1 / norm, torch.zeros_like(norm))


def _scaled(m: PairMoments, scaling: Callable[[float], float]) -> Similarity:
    core = permutation_match.of(m)
    return core if core.value is None else Similarity(scaling(core.value))


def _counted(m: PairMoments, value: float) -> Similarity:
    x, y = spectra(m)
    return _dead(x.alive, y.alive, value)


def _dead(x: Tensor, y: Tensor, value: float) -> Similarity:
    return Similarity(value, details={"dead_x": int((~x).sum()), "dead_y": int((~y).sum())})


def _within(cosine: float) -> float:
    """Without what rounding pushed over ±1."""
    return float(min(max(cosine, -1.0), 1.0))
