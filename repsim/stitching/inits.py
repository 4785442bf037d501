"""Owns how a stitcher starts: at random, at the identity, at a permutation, or at a direct-matching optimum."""

from collections.abc import Callable

import torch
from torch import Generator, nn

from repsim.errors import InputError, nearest
from repsim.stitching import birkhoff, matching
from repsim.stitching.moments import Moments
from repsim.stitching.stitchers import Affine, Birkhoff, Linear, LowRank, Permutation, Stitcher

FROM_MOMENTS = frozenset({"ps_inv", "matched"})


def start_(stitcher: Stitcher, init: str, generator: Generator, moments: Moments | None = None) -> None:
    """Set the parameters of `stitcher`; random numbers come from `generator` (on the CPU), matches from `moments`.

    Raises InputError for an init that the stitcher's family does not have.
    """
    choices = STARTS[type(stitcher)]
    if init not in choices:
        name = type(stitcher).__name__.lower()
        raise InputError(f"a {name} stitcher has no init '{init}'", where="init", do=nearest(init, choices))
    draw = choices[init]
    if draw is not None:
        return stitcher.start_(draw(stitcher, generator))
    assert moments is not None, f"init '{init}' needs moments"
    return stitcher.start_(matching.match(stitcher, moments))


def _uniform(stitcher: Stitcher, generator: Generator) -> Affine:
    """Weight and bias from U(−1/√p, 1/√p): the default of torch's Linear and of its 1×1 Conv2d."""
    bound = stitcher.inputs**-0.5
    weight = torch.empty(stitcher.outputs, stitcher.inputs).uniform_(-bound, bound, generator=generator)
    return Affine(weight, torch.empty(stitcher.outputs).uniform_(-bound, bound, generator=generator))


def _orthogonal(stitcher: Stitcher, generator: Generator) -> Affine:
    """W2 W1 with random orthonormal columns (W2) and rows (W1); zero bias (Csiszárik et al. 2021)."""
    assert isinstance(stitcher, LowRank)
    outer, inner = (torch.empty(tuple(factor.shape)) for factor in (stitcher.outer, stitcher.inner))
    nn.init.orthogonal_(outer, generator=generator)
    nn.init.orthogonal_(inner, generator=generator)
    return Affine(outer @ inner)


def _interior(stitcher: Stitcher, generator: Generator) -> Affine:
    """A doubly stochastic matrix: uniform entries, 100 Sinkhorn sweeps (Godfrey et al. 2022)."""
    return Affine(birkhoff.sinkhorn(torch.rand(stitcher.outputs, stitcher.inputs, generator=generator), sweeps=100))


def _identity(stitcher: Stitcher, _: Generator) -> Affine:
    """Ones on the diagonal, also of a rectangle; zero bias."""
    return Affine(torch.eye(stitcher.outputs, stitcher.inputs))


def _shuffle(stitcher: Stitcher, generator: Generator) -> Affine:
    """A random permutation matrix; of a rectangle a random matching of the smaller side; zero bias."""
    weight = torch.zeros(stitcher.outputs, stitcher.inputs)
    pairs = min(weight.shape)
    rows = torch.randperm(stitcher.outputs, generator=generator)[:pairs]
    weight[rows, torch.randperm(stitcher.inputs, generator=generator)[:pairs]] = 1.0
    return Affine(weight)


Start = Callable[[Stitcher, Generator], Affine] | None  # None: from moments
STARTS: dict[type[Stitcher], dict[str, Start]] = {
    Linear: {"random": _uniform, "eye": _identity, "perm": _shuffle, "ps_inv": None, "matched": None},
    LowRank: {"random": _orthogonal, "matched": None},
    Permutation: {"eye": _identity, "perm": _shuffle, "matched": None},
    Birkhoff: {"random": _interior, "eye": _identity, "perm": _shuffle, "matched": None},
}
