"""Owns which views and alignments fit layers of which shapes. Light on purpose: sweeps are planned with it.

Shapes are without the batch: (c, h, w) is a map, (t, d) are tokens, (p,) or () is a vector. Tokens are a grid of s·s patches,
with the class token before them where there are s² + 1; of any other number no grid is known. A vector is the same in every view.
"""

from math import prod

from repsim.errors import InputError, nearest
from repsim.similarity.known import KNOWN
from repsim.stitching.shapes import grid

Shape = tuple[int, ...]
VIEWS = {
    "flatten": "all values of an image in one row",
    "channel": "a row for each position of a map or token, of its channels",
    "pool": "the mean over the positions of a map or the patches of tokens",
    "position": "the measure at each position or token, then the mean",
    "class": "the class token",
    "mean": "the mean over all tokens",
}
ALIGNS = ("pool", "bilinear", "nearest")
PAIRED = ("channel", "position")  # views whose rows are of positions, which meet one another
BY_CHANNEL = ("wreath_cka", "wreath_cka_biased", "ortho_cka")  # measures of pairs of images that look at channels apart
ONE_ROW = ("flatten", "pool", "class", "mean", "position")  # views that give every image one row (or one at a time)


def skipped(shape: Shape) -> int:
    """How many tokens stand before the patches of tokens (t, d): 1 where t = s² + 1, else 0."""
    return int(shape[0] - prod(grid(shape)) == 1)


def positions(shape: Shape) -> int:
    """How many positions a layer has: h·w of a map, t of tokens, 1 of a vector."""
    return prod(shape[1:]) if len(shape) == 3 else shape[0] if len(shape) == 2 else 1


def channels(shape: Shape) -> int:
    """How many values it has at each position."""
    return prod(shape) // positions(shape)


def rows(shape: Shape, view: str) -> tuple[int, int]:
    """(m, p): how many rows of how many values `view` makes of one image; of `position`, those of one position."""
    if view == "flatten":
        return 1, prod(shape)
    return (positions(shape) if view == "channel" else 1), channels(shape)


def meets_by_position(measure: str, view: str) -> bool:
    """Whether the rows of two layers must be of the same positions. Kernels of channels are made of one layer alone."""
    return view == "position" or (view == "channel" and KNOWN[measure].family not in ("pairs", "minibatch"))


def check_view(shape: Shape, view: str, where: str = "view") -> None:
    """Raise InputError where a layer of this shape has no such view."""
    if view not in VIEWS:
        raise InputError(f"there is no view '{view}'", where=where, do=nearest(view, VIEWS))
    if len(shape) > 3 and view != "flatten":
        raise InputError(f"a layer of shape {shape} is no map, no tokens and no vector", where=where, do="say view: flatten")
    if len(shape) == 3 and view in ("class", "mean"):
        raise InputError(f"a map of shape {shape} has no tokens", where=where, do="say view: pool, channel or flatten")
    if len(shape) == 2 and view == "class" and not skipped(shape):
        raise InputError(f"{shape[0]} tokens are not s·s patches and a class token", where=where, do="say view: mean or flatten")


def aligned(front: Shape, end: Shape, align: str | None, where: str = "align") -> tuple[Shape, Shape]:
    """The shapes of two layers once their positions are the same.

    Maps of other grids come to the lesser of the heights and of the widths by `align`; tokens lose their class token and
    become a map where they meet a map or another number of tokens. Raises InputError where they cannot, or `align` is needed
    and None.
    """
    if align is not None and align not in ALIGNS:
        raise InputError(f"there is no alignment '{align}'", where=where, do=nearest(align, ALIGNS))
    if len(front) == len(end) and _place(front) == _place(end):
        return front, end
    maps = as_map(front), as_map(end)
    if None in maps:
        what = f"layers of shape {front} and {end} have no positions in common"
        raise InputError(what, where="view", do="say view: flatten or pool")
    (p, *one), (q, *other) = maps  # pyright: ignore[reportGeneralTypeIssues] (none is None)
    if one == other:
        return (p, *one), (q, *other)
    if align is None:
        what = f"layers of shape {front} and {end} have other grids"
        raise InputError(what, where=where, do="say align: pool, bilinear or nearest, or view: flatten or pool")
    small = tuple(map(min, one, other))
    return (p, *small), (q, *small)


def _place(shape: Shape) -> Shape:
    """What tells the positions of a layer: the grid of a map, the number of tokens."""
    return shape[1:] if len(shape) == 3 else shape[:-1]


def as_map(shape: Shape) -> Shape | None:
    """The map (c, h, w) that a layer is or its patches make; None where it has no grid."""
    if len(shape) == 3:
        return shape
    if len(shape) != 2 or shape[0] - skipped(shape) != prod(grid(shape)):
        return None
    return shape[1], *grid(shape)


def needs_align(front: Shape, end: Shape) -> bool:
    """Whether two layers that can meet by position want a word on how."""
    try:
        aligned(front, end, None)
    except InputError as error:
        return error.where == "align"
    return False
