"""Owns how a stitcher starts: at random, at the identity, at a permutation, at a constant, or at a direct-matching optimum."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from repsim.errors import InputError, nearest
from repsim.stitching import birkhoff, matching, regression
from repsim.stitching.moments import Moments
from repsim.stitching.stitchers import Affine, Birkhoff, Lasso, Linear, LowRank, Orthogonal, Permutation, Stitcher, Wreath

FROM_MOMENTS = frozenset({"ps_inv", "matched"})


def start_(stitcher: Stitcher, init: str, generator: Generator, moments: Moments | None = None, ridge: float = 0.0) -> None:
    """Set the family's parameters of `stitcher`; random numbers come from `generator` (on the CPU), optima from `moments`.

    `ridge` is that of `matching.match`. Raises InputError for an init, or a ridge, that the stitcher's family does not have.
    """
    choices = STARTS[type(stitcher)]
    if init not in choices:
        what = f"a {stitcher.family} stitcher has no init '{init}'"
        raise InputError(what, where="init", do=f"choose {' or '.join(choices)}" if init in ALL else nearest(init, choices))
    draw = choices[init]
    start = draw(stitcher, generator) if draw else _optimum(stitcher, init, moments, ridge)
    if start is not None:
        stitcher.start_(start)


def _optimum(stitcher: Stitcher, init: str, moments: Moments | None, ridge: float) -> Affine:
    """`ps_inv`: least squares over all linear maps (those of its mask for a masked one). `matched`: over the family."""
    assert moments is not None, f"init '{init}' needs moments"
    if init == "matched" or type(stitcher) is Linear:
        return matching.match(stitcher, moments, ridge)
    return regression.linear(moments, ridge)


def _uniform(stitcher: Stitcher, generator: Generator) -> Affine:
    """Weight and bias from U(−1/√p, 1/√p): the default of torch's Linear and of its 1×1 Conv2d."""
    bound = stitcher.inputs**-0.5
    weight = torch.empty(stitcher.outputs, stitcher.inputs).uniform_(-bound, bound, generator=generator)
    return Affine(weight, torch.empty(stitcher.outputs).uniform_(-bound, bound, generator=generator))


def _orthogonal(stitcher: Stitcher, generator: Generator) -> Affine:
    """W2 W1 with random orthonormal columns (W2) and rows (W1); zero bias (Csiszárik et al. 2021)."""
    assert isinstance(stitcher, LowRank)
    return Affine(_haar(stitcher.outer, generator) @ _haar(stitcher.inner, generator))


def _rotation(stitcher: Stitcher, generator: Generator) -> Affine:
    """Orthonormal columns, uniform (Haar) among all such; zero bias."""
    return Affine(_haar(torch.empty(stitcher.outputs, stitcher.inputs), generator))


def _scatter(stitcher: Stitcher, generator: Generator) -> None:
    """Scores from N(0, tau²): every output mixes several channels, so that gradients reach all of them."""
    assert isinstance(stitcher, Wreath)
    with torch.no_grad():
        stitcher.scores.copy_(stitcher.tau * torch.randn(stitcher.inputs, generator=generator))


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


def _zeros(stitcher: Stitcher, _: Generator) -> Affine:
    return Affine(torch.zeros(stitcher.outputs, stitcher.inputs))


def _ones(stitcher: Stitcher, _: Generator) -> Affine:
    """All weights 1; zero bias (Csiszárik et al. 2021, where it is called ones-zeros)."""
    return Affine(torch.ones(stitcher.outputs, stitcher.inputs))


def _haar(like: Tensor, generator: Generator) -> Tensor:
    """A random matrix of orthonormal rows or columns, whichever are fewer."""
    return nn.init.orthogonal_(torch.empty(like.shape), generator=generator)


Start = Callable[[Stitcher, Generator], Affine | None] | None  # no map: it has set the stitcher itself; no start: from moments
FREE: dict[str, Start] = {
    "random": _uniform,
    "eye": _identity,
    "perm": _shuffle,
    "zeros": _zeros,
    "ones-zeros": _ones,
    "ps_inv": None,
    "matched": None,
}
STARTS: dict[type[Stitcher], dict[str, Start]] = {
    Linear: FREE,
    Lasso: FREE,
    LowRank: {"random": _orthogonal, "ps_inv": None, "matched": None},
    Orthogonal: {"random": _rotation, "eye": _identity, "perm": _shuffle, "matched": None},
    Permutation: {"eye": _identity, "perm": _shuffle, "matched": None},
    Wreath: {"random": _scatter, "eye": _identity, "perm": _shuffle, "matched": None},
    Birkhoff: {"random": _interior, "eye": _identity, "perm": _shuffle, "matched": None},
}
ALL = frozenset(FREE)
