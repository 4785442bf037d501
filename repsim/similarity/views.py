"""Owns how activations become rows: the views, and the alignment of two layers whose positions must be the same.

What fits which shape is in `fit`.
"""

from collections.abc import Callable, Sequence
from math import prod

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
    front, end = fit.aligned(tuple(x.shape[1:]), tuple(y.shape[1:]), how)
    return brought(x, front, how), brought(y, end, how)


def brought(value: Tensor, shape: fit.Shape, how: str | None) -> Tensor:
    """An activation brought to `shape`, one that `fit.aligned` gave for it; unchanged where it is of that shape."""
    return value if value.shape[1:] == shape else _resized(as_map(value), shape[1:], how)


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


def _resized(value: Tensor, size: Sequence[int], how: str | None) -> Tensor:
    if value.shape[2:] == tuple(size):
        return value
    assert how, f"a map of {tuple(value.shape[2:])} cannot become one of {tuple(size)}"
    if how == "pool":
        return functional.adaptive_avg_pool2d(value, (size[0], size[1]))
    return functional.interpolate(value, size=list(size), mode=how)


VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "channel": _channel,
    "position": _channel,
    "pool": _pool,
    "class": lambda tokens: tokens[:, :1],
    "mean": lambda tokens: tokens.mean(1, keepdim=True),
}
