"""Owns the masks: which inputs each output of a linear stitcher may use, bool (q, p) (Csiszárik et al. 2021).

Correlations are those of the centred rows of x and y; a channel that is constant correlates 0 with all.
Of equally good ones the first is taken.
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from repsim.errors import InputError, nearest
from repsim.stitching import birkhoff
from repsim.stitching.moments import Moments, solvable
from repsim.stitching.regression import spread


@solvable()
def make(kind: str, p: int, q: int, generator: Generator, moments: Moments | None = None) -> Tensor:
    """The mask of this kind for p inputs and q outputs; `FROM_MOMENTS` names those that need moments.

    Random numbers come from `generator` (on the CPU); the mask lies where the moments lie, if there are any. Raises
    InputError for a kind that does not exist, NotFinite for activations that are not finite.
    """
    if kind not in MASKS:
        raise InputError(f"there is no mask '{kind}'", where="mask", do=nearest(kind, MASKS))
    if kind not in FROM_MOMENTS:
        mask = MASKS[kind](p, q, generator)
        return mask if moments is None else mask.to(moments.xx.device)
    assert moments is not None, f"mask '{kind}' needs moments"
    assert moments.xy.shape == (p, q), f"moments of {tuple(moments.xy.shape)} for a mask of ({p}, {q})"
    moments.need_finite()
    return MASKS[kind](correlations(moments))


def correlations(moments: Moments) -> Tensor:
    """r (q, p) of every output with every input, 0 where one of them is constant."""
    size_x, alive_x = spread(moments)
    size_y, alive_y = spread(moments.swapped())
    return (moments.xy / torch.outer(size_x, size_y) * torch.outer(alive_x, alive_y)).mT


def identity(p: int, q: int, _: Generator) -> Tensor:
    """Input i for output i, as far as both go."""
    return torch.eye(q, p, dtype=torch.bool)


def random_permutation(p: int, q: int, generator: Generator) -> Tensor:
    """A permutation drawn uniformly; of a rectangle a matching of the smaller side."""
    mask = torch.zeros(q, p, dtype=torch.bool)
    pairs = min(p, q)
    mask[torch.randperm(q, generator=generator)[:pairs], torch.randperm(p, generator=generator)[:pairs]] = True
    return mask


def semi_match(r: Tensor) -> Tensor:
    """For every output its best-correlated input."""
    return _best_per_row(r)


def abs_semi_match(r: Tensor) -> Tensor:
    """For every output the input of largest |r|."""
    return _best_per_row(r.abs())


def hard_match(r: Tensor) -> Tensor:
    """The one-to-one matching of largest total correlation (Li et al. 2016); of a rectangle it takes the smaller side whole."""
    if len(r) > r.shape[1]:
        return hard_match(r.mT).mT
    return _at(r, birkhoff.best_permutation(r))


def soft_match(r: Tensor) -> Tensor:
    """For every output its best-correlated input, and for every input its best-correlated output."""
    return _best_per_row(r) | _best_per_row(r.mT).mT


def _best_per_row(score: Tensor) -> Tensor:
    return _at(score, score.argmax(1))


def _at(like: Tensor, index: Tensor) -> Tensor:
    """True at column index[j] of every row j."""
    return torch.zeros_like(like, dtype=torch.bool).scatter_(1, index[:, None], True)


FROM_MOMENTS = frozenset({"semi-match", "abs-semi-match", "hard-match", "soft-match"})
MASKS: dict[str, Callable[..., Tensor]] = {
    "identity": identity,
    "random-permutation": random_permutation,
    "semi-match": semi_match,
    "abs-semi-match": abs_semi_match,
    "hard-match": hard_match,
    "soft-match": soft_match,
}
