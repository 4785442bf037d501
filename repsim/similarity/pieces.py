"""Owns what a request is made of before any number is computed: pieces of two sides of known sizes, and what they cost.

A piece is the request itself, or that of one position where its view is `position`. Light on purpose: plans are made of it.
"""

from collections.abc import Hashable, Iterable
from math import prod
from typing import NamedTuple

from repsim.similarity import fit, positions
from repsim.similarity.fit import Shape
from repsim.similarity.known import KNOWN
from repsim.similarity.positions import Slice
from repsim.similarity.request import Request

SUM, NUMBER = 8, 4  # bytes of what is summed, and of an activation or an entry of a tile
MATRICES = 3  # of a layer in a batch that are held at once: inner products, and them stacked for all pairs
CLOSED = (
    *("cka", "cka_debiased", "cka_angular", "cca_squared", "svcca_squared"),
    *("regression", "regression_reversed", "ridge", "ridge_reversed", "gulp"),
)
"""Measures of moments whose null has a formula, for one row per image; that of all others is of shifted pairs."""


class Side(NamedTuple):
    """One side of a piece: equal sides are computed once.

    Attributes:
        key: what it depends on.
        rows, width: of one image.
        numbers: of one image as it is read, before any view.
    """

    key: Hashable
    rows: int
    width: int
    numbers: int


class Piece(NamedTuple):
    """What one pass computes: `asked` of the values that it sees, for `origin`, as a person asked."""

    asked: Request
    origin: Request
    front: Side
    end: Side
    cut: tuple[Slice, Slice] | None = None

    @property
    def place(self) -> int:
        """Which position it is of; all pieces of other views are of the first."""
        return self.cut[0].index if self.cut else 0


def pieces(request: Request, front: Shape, end: Shape) -> list[Piece]:
    """The pieces of a request of layers of these shapes."""
    if request.view == "position":
        cuts = positions.slices(request, front, end)
        wholes = prod(front), prod(end)
        both = [(cut, _of_slice(cut[0], wholes[0]), _of_slice(cut[1], wholes[1])) for cut in cuts]
        return [Piece(positions.at(request, cut), request, x, y, cut) for cut, x, y in both]
    shapes = (front, end)
    if fit.meets_by_position(request.measure, request.view):
        shapes = fit.aligned(front, end, request.align)
    keys = [(value, request.view, shape) for value, shape in zip((request.front, request.end), shapes, strict=True)]
    x, y = (
        Side(key, *fit.rows(shape, request.view), prod(whole)) for key, shape, whole in zip(keys, shapes, (front, end), strict=True)
    )
    return [Piece(request, request, x, y)]


def _of_slice(cut: Slice, whole: int) -> Side:
    return Side(cut.value, 1, fit.channels(cut.shape), whole)


def moment_flops(some: Iterable[Piece], images: int) -> float:
    """2·rows·width² of each side, and 2·rows·p·q of each pair, and of its shifted twin where the null is of one."""
    some = list(some)
    alone = sum(2.0 * images * side.rows * side.width**2 for _, side in sides(some))
    apart = pairs(some) + pairs(piece for piece in some if shifted(piece))
    return alone + sum(2.0 * images * x.rows * x.width * y.width for x, y in apart)


def gram_flops(some: Iterable[Piece], images: int) -> float:
    """n²·width of each side (half of all pairs of images, two operations a number) and n² of each pair of sides."""
    some = list(some)
    alone = sum(1.0 * images**2 * side.rows * side.width for _, side in sides(some))
    return alone + 1.0 * images**2 * len(pairs(some))


def batch_flops(some: Iterable[Piece], images: int) -> float:
    """As `gram_flops`, of pairs of images of the same batch alone."""
    found: dict[int, list[Piece]] = {}
    for piece in some:
        found.setdefault(min(piece.asked.chosen["batch"], images), []).append(piece)
    return sum(gram_flops(alike, images) * batch / images for batch, alike in found.items())


def parts(piece: Piece, groups: int, images: int) -> dict[Hashable, int]:
    """Bytes that a piece holds while images go by, each under a key of its own: pieces with equal keys share them."""
    family = KNOWN[piece.asked.measure].family
    if family == "minibatch":
        return _batch_parts(piece, images)
    return _moment_parts(piece, groups) if family in ("linear", "moments") else {}


def _batch_parts(piece: Piece, images: int) -> dict[Hashable, int]:
    """Of batches that wait until they are full, and of the matrices of one batch."""
    batch = min(piece.asked.chosen["batch"], images)
    return {(batch, at, side): NUMBER * (batch * side.width + MATRICES * batch**2) for at, side in sides([piece])}


def _moment_parts(piece: Piece, groups: int) -> dict[Hashable, int]:
    x, y = piece.front, piece.end
    alone = {(at, side): SUM * groups * side.width**2 for at, side in (("front", x), ("end", y))}
    pair = SUM * x.width * y.width
    return {**alone, (x, y): groups * pair, **({("shifted", x, y): pair} if shifted(piece) else {})}


def shifted(piece: Piece) -> bool:
    """Whether its null is that of shifted pairs."""
    return piece.front.rows > 1 or piece.asked.measure not in CLOSED


def kept_bytes(some: Iterable[Piece], images: int) -> int:
    """Of all activations that tiles are made of."""
    return NUMBER * images * numbers(some)


def numbers(some: Iterable[Piece]) -> int:
    """Of one image, as they are read of both networks."""
    read: dict[Hashable, int] = {}
    for piece in some:
        read["front", piece.origin.front], read["end", piece.origin.end] = piece.front.numbers, piece.end.numbers
    return sum(read.values())


def sides(some: Iterable[Piece]) -> list[tuple[str, Side]]:
    """The distinct sides of f and of g."""
    return list(dict.fromkeys(found for piece in some for found in (("front", piece.front), ("end", piece.end))))


def pairs(some: Iterable[Piece]) -> list[tuple[Side, Side]]:
    """The distinct pairs of sides."""
    return list(dict.fromkeys((piece.front, piece.end) for piece in some))
