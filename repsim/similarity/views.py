"""Owns how activations become rows: the views, and the alignment of two layers whose positions must be the same.

What fits which shape is in `fit`.
"""

from collections.abc import Callable
from math import prod

import torch
from torch import Tensor
from torch.nn import functional

from repsim.similarity import fit
from repsim.stitching.shapes import grid


def rows(value: Tensor, view: str) -> Tensor:
    """An activation (n, …) as (n, m, p): m rows of p values for each image.

    flatten: (n, 1, all values); channel: a map (n, c, h, w) as (n, h·w, c), tokens (n, t, d) as they are; pool: the mean over the
    positions of a map or the patches of tokens, (n, 1, c); class: the class token; mean: the mean over all tokens. A vector
    (n, p) is (n, 1, p) in every view. `position` gives the rows of `channel`, for `by_position` to take apart. Raises InputError
    for a shape that has no such view.
    """
    shape = tuple(value.shape[1:])
    fit.check_view(shape, view)
    if view == "flatten" or len(shape) < 2:
        return value.reshape(len(value), 1, prod(shape))
    return VIEWS[view](value)


def align(x: Tensor, y: Tensor, how: str | None) -> tuple[Tensor, Tensor]:
    """Two activations of the same images, with the same positions.

    Unchanged where their grids are equal. Else maps, and the patches of tokens as maps, come to the lesser height and width:
    `pool` averages (adaptive average pooling), `bilinear` and `nearest` resample. Raises InputError as `fit.aligned` does.
    """
    shapes = tuple(x.shape[1:]), tuple(y.shape[1:])
    front, end = fit.aligned(*shapes, how)
    if (front, end) == shapes:
        return x, y
    assert len(front) == 3
    size = front[1], front[2]
    return _resized(as_map(x), size, how), _resized(as_map(y), size, how)


def as_map(value: Tensor) -> Tensor:
    """A map as it is; the patches of tokens (n, t, d) on their grid, (n, d, s, s)."""
    if value.dim() == 4:
        return value
    shape = tuple(value.shape[1:])
    return value[:, fit.skipped(shape) :].mT.unflatten(-1, grid(shape))


def by_position(value: Tensor) -> Tensor:
    """An activation as (positions, n, c): the rows that `position` compares one after the other."""
    return rows(value, "channel").movedim(1, 0)


def _channel(value: Tensor) -> Tensor:
    return value.flatten(2).mT if value.dim() == 4 else value


def _pool(value: Tensor) -> Tensor:
    if value.dim() == 4:
        return value.mean((2, 3))[:, None]
    return value[:, fit.skipped(tuple(value.shape[1:])) :].mean(1, keepdim=True)


def _resized(value: Tensor, size: tuple[int, int], how: str | None) -> Tensor:
    if value.shape[2:] == torch.Size(size):
        return value
    if how == "pool":
        return functional.adaptive_avg_pool2d(value, size)
    assert how
    return functional.interpolate(value, size=size, mode=how)


VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "channel": _channel,
    "position": _channel,
    "pool": _pool,
    "class": lambda tokens: tokens[:, :1],
    "mean": lambda tokens: tokens.mean(1, keepdim=True),
}
