"""Owns the random matrices that are inserted behind a layer, and how one acts on the layer's value.

    orthogonal    QᵀQ = I, uniform (Haar) among all such
    permutation   P
    g_relu        P · diag(s), log s ~ N(−σ²/2, σ²) for each channel, so that the mean of a scale is 1
    identity      I: nothing is inserted

G_ReLU, the permutations times positive scales, are the matrices that commute with ReLU up to such a matrix:
ReLU(P diag(s) x) = P diag(s) ReLU(x) (Godfrey et al. 2022, "On the Symmetries of Deep Learning Models and their Internal
Representations", section 3); the distribution of the scales is that of their code.
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.nn import functional

from repsim.errors import InputError, nearest

Draw = Callable[[int, Generator, float], Tensor]


def draw(kind: str, channels: int, seed: int, sigma: float = 1.0) -> Tensor | None:
    """The matrix (channels, channels) in fp64 on the CPU, the same for the same `seed`; None for `identity`.

    `sigma` is the standard deviation of the logarithms of the scales of a `g_relu` matrix; the others have none.
    Raises InputError for an unknown kind, a negative seed or sigma, and no channels.
    """
    if kind != "identity" and kind not in MATRICES:
        raise InputError(f"there is no matrix '{kind}'", where="matrix", do=nearest(kind, ["identity", *MATRICES]))
    for name, value, least in (("matrix_seed", seed, 0), ("sigma", sigma, 0), ("channels", channels, 1)):
        if not value >= least:
            raise InputError(f"cannot be {value}", where=name, do=f"give {least} or more")
    return MATRICES[kind](channels, Generator().manual_seed(seed), sigma) if kind in MATRICES else None


def channels_of(shape: tuple[int, ...]) -> int:
    """How many channels a layer has whose value has this shape, without the batch: maps (c, h, w), tokens (t, d), vectors (d,)."""
    return shape[-1] if len(shape) == 2 else shape[0]


def rotate(value: Tensor, matrix: Tensor) -> Tensor:
    """M v at every position: of maps (n, c, h, w) the channels, of tokens (n, t, d) and vectors (n, d) the last axis.

    `matrix` (c, c) has the type and the device of `value`.
    """
    return functional.conv2d(value, matrix[:, :, None, None]) if value.dim() == 4 else functional.linear(value, matrix)


def condition(matrix: Tensor | None) -> float:
    """Largest over smallest singular value: how unevenly a matrix stretches."""
    if matrix is None:
        return 1.0
    values = torch.linalg.svdvals(matrix.double())
    return float(values.max() / values.min())


def _orthogonal(channels: int, generator: Generator, _: float) -> Tensor:
    """Q of a Gaussian matrix, each column with the sign of R's diagonal: without that it is not uniform (Mezzadri 2007)."""
    q, r = torch.linalg.qr(torch.randn(channels, channels, generator=generator, dtype=torch.float64))
    return q * r.diagonal().sign()


def _permutation(channels: int, generator: Generator, _: float) -> Tensor:
    return torch.eye(channels, dtype=torch.float64)[torch.randperm(channels, generator=generator)]


def _g_relu(channels: int, generator: Generator, sigma: float) -> Tensor:
    permutation = _permutation(channels, generator, sigma)
    logarithms = sigma * torch.randn(channels, generator=generator, dtype=torch.float64) - sigma**2 / 2
    return permutation * logarithms.exp()


MATRICES: dict[str, Draw] = {"orthogonal": _orthogonal, "permutation": _permutation, "g_relu": _g_relu}
