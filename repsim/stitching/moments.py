"""Owns the second moments of pairs of activations: streamed over batches, shifted, summed in fp64.

Rows are made by the alignment of a pair (see `alignment`): in channel view (n, c, h, w) becomes n·h·w rows of c values.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from repsim.errors import InputError
from repsim.stitching.alignment import Alignment
from repsim.stitching.shapes import Joint

Match = tuple[str, str, Joint]  # front layer, end layer, how the two are joined
BLOCK = 8192  # rows whose products are summed in the precision of the products
TAKEN_WHOLE = {"channels", "flatten", "resize", "tokens"}  # joints that match every value of the end layer as it stands


class NotFinite(InputError):
    """The activations of a layer are not all finite numbers: nothing can be matched."""


@contextmanager
def solvable() -> Iterator[None]:
    """Turn a RuntimeError of LAPACK into ArithmeticError, as for every optimum that is not reached; also a decorator."""
    try:
        yield
    except torch.linalg.LinAlgError as error:  # pyright: ignore[reportPrivateImportUsage] (its documented name)
        raise ArithmeticError(f"a matrix of moments cannot be factored: {error}") from error


@dataclass(frozen=True)
class Moments:
    """Of rows x (p) and y (q): means, and the centred sums xx = Σ(x−x̄)(x−x̄)ᵀ, yy, and xy = Σ(x−x̄)(y−ȳ)ᵀ (p, q); fp64.

    `noise` is the relative rounding of the products: directions of xx below it carry nothing.
    """

    rows: int
    mean_x: Tensor
    mean_y: Tensor
    xx: Tensor
    yy: Tensor
    xy: Tensor
    noise: float = torch.finfo(torch.float64).eps

    def raw(self) -> tuple[Tensor, Tensor, Tensor]:
        """The uncentred sums Σxxᵀ, Σyyᵀ, Σxyᵀ, for maps without a bias."""
        x, y = self.mean_x, self.mean_y
        return (
            self.xx + self.rows * torch.outer(x, x),
            self.yy + self.rows * torch.outer(y, y),
            self.xy + self.rows * torch.outer(x, y),
        )

    def need_finite(self) -> None:
        """Raise NotFinite where the rows held something that is not a finite number."""
        for side, sums in (("front", (self.mean_x, self.xx)), ("end", (self.mean_y, self.yy))):
            if not all(bool(part.isfinite().all()) for part in sums):
                what = f"the activations of the {side} layer are not all finite"
                raise NotFinite(what, where=f"{side}_layer", do="see whether its network has diverged")

    def swapped(self) -> "Moments":
        """The moments of y and x."""
        return Moments(self.rows, self.mean_y, self.mean_x, self.yy, self.xx, self.xy.mT, self.noise)

    def restricted(self, basis: Tensor, mean: Tensor | None = None) -> "Moments":
        """The moments of m + VVᵀ(x − m) and y, for a basis V (p, r) with orthonormal columns and a point m (p,), by default x̄."""
        basis = basis.to(self.xx)
        middle = self.mean_x if mean is None else mean.to(self.xx)
        onto = basis @ basis.mT
        mean_x = middle + onto @ (self.mean_x - middle)
        return replace(self, mean_x=mean_x, xx=onto @ self.xx @ onto, xy=onto @ self.xy)


@solvable()
def principal(moments: Moments, rank: int) -> tuple[Tensor, Tensor]:
    """The top `rank` principal components of x as columns (p, rank), largest first, and the mean x̄ (p,) they pass through.

    Raises InputError for a rank that x does not have room for, NotFinite for activations that are not finite, and
    ArithmeticError where the components cannot be computed.
    """
    channels = len(moments.xx)
    if not 1 <= rank <= channels:
        raise InputError(f"a subspace of rank {rank} does not fit {channels} channels", where="rank", do=f"choose 1 to {channels}")
    moments.need_finite()
    vectors = torch.linalg.eigh(moments.xx).eigenvectors
    return vectors[:, -rank:].flip(-1), moments.mean_x


class Stream:
    """Gathers the moments of many matches in one pass; xx once per layer and way of making its rows, likewise yy.

    Every batch is shifted by the mean of the first one (moments do not care, rounding does), multiplied in blocks of
    rows in `products` precision (default: that of the activations), and summed in fp64 (on the CPU for MPS, which has none).
    With `null`, the images of g are also matched one place further, around the whole stream: every image of f then
    meets another image of g, and what still agrees agrees by chance.
    """

    def __init__(
        self,
        matches: Iterable[Match],
        alignments: Mapping[Joint, Alignment],
        null: bool = False,
        products: torch.dtype | None = None,
    ):
        self.matches = list(dict.fromkeys(matches))
        self._alignments, self._null, self._products = alignments, null, products
        self._front = {_front_key(match): _Side() for match in self.matches}
        self._end = {_end_key(match): _Side() for match in self.matches}
        self._cross = {_cross_key(match): _Cross() for match in self.matches}

    @torch.no_grad()
    def add(self, front: Mapping[str, Tensor], end: Mapping[str, Tensor]) -> None:
        """Add one batch: activations (n, …) by layer name, of the same images in the same order."""
        makers_x = {_front_key(match): (match[0], self._alignments[match[2]].matched_rows) for match in self.matches}
        makers_y = {_end_key(match): (match[1], self._alignments[match[2]].target) for match in self.matches}
        x = {key: self._front[key].add(self._rows(make(front[layer]))) for key, (layer, make) in makers_x.items()}
        y = {key: self._end[key].add(self._rows(make(end[layer]))) for key, (layer, make) in makers_y.items()}
        for (one, other), cross in self._cross.items():
            cross.add(x[one], y[other], self._null)

    def moments(self, match: Match) -> Moments:
        """The moments of `match` over all batches added so far."""
        return self._moments(match, self._cross[_cross_key(match)].total)

    def null(self, match: Match) -> Moments:
        """The moments of `match` with every image of f beside another image of g.

        Raises InputError where there was one image only.
        """
        assert self._null, "the stream was not asked for the null"
        if self._end[_end_key(match)].images < 2:
            raise InputError("one image alone cannot be matched with another", where="images", do="take at least 2")
        return self._moments(match, self._cross[_cross_key(match)].closed())

    def _moments(self, match: Match, cross: Tensor) -> Moments:
        x, y = self._front[_front_key(match)], self._end[_end_key(match)]
        xy = cross - torch.outer(x.total, y.total) / x.rows
        noise = torch.finfo(x.shift.dtype).eps
        return Moments(x.rows, x.mean(), y.mean(), x.centred(), y.centred(), xy, noise)

    def _rows(self, rows: Tensor) -> Tensor:
        """(n, positions, c) in the precision of the products."""
        products = self._products or torch.promote_types(rows.dtype, torch.float32)
        return rows.reshape(len(rows), -1, rows.shape[-1]).to(products)


class _Side:
    """Images, rows, sum and sum of products of one layer, all of the shifted values."""

    images: int = 0
    rows: int = 0
    shift: Tensor
    total: Tensor
    gram: Tensor

    def add(self, rows: Tensor) -> Tensor:
        """Add the rows (n, positions, c); returns them shifted, for the cross products."""
        if not self.images:
            self.shift = rows.mean((0, 1))
            self.total = _summable(torch.zeros_like(self.shift))
            self.gram = self.total.new_zeros(len(self.shift), len(self.shift))
        shifted = rows - self.shift
        blocks = _blocks(shifted)
        self.images += len(rows)
        self.rows += len(rows) * rows.shape[1]
        self.total += _summable(blocks.sum(1)).sum(0)
        self.gram += _product(blocks, blocks)
        return shifted

    def mean(self) -> Tensor:
        return _summable(self.shift) + self.total / self.rows

    def centred(self) -> Tensor:
        return self.gram - torch.outer(self.total, self.total) / self.rows


class _Cross:
    """Sum of products of a front and an end layer, and the same with the images of the end one place further."""

    total: Tensor
    further: Tensor
    first: Tensor  # f's first image and g's last, which close the circle
    last: Tensor

    def __init__(self) -> None:
        self.begun = False

    def add(self, x: Tensor, y: Tensor, null: bool) -> None:
        """Add the shifted rows (n, positions, p) and (n, positions, q)."""
        assert x.shape[:2] == y.shape[:2], f"rows of {tuple(x.shape)} and {tuple(y.shape)} do not pair"
        product = _product(_blocks(x), _blocks(y))
        self.total = self.total + product if self.begun else product
        if null:
            self._add_further(x, y)
        self.begun = True

    def closed(self) -> Tensor:
        """The sum over the whole circle of images."""
        return self.further + _product(self.first, self.last)

    def _add_further(self, x: Tensor, y: Tensor) -> None:
        if not self.begun:
            self.first, self.last = x[:1].clone(), torch.zeros_like(y[:1])
            self.further = torch.zeros_like(self.total)
        self.further = self.further + _product(_blocks(x), _blocks(torch.cat((self.last, y[:-1]))))
        self.last = y[-1:].clone()


def _blocks(rows: Tensor) -> Tensor:
    """(n, positions, c) as (blocks, at most BLOCK, c), filled up with zeros, which add nothing to a product."""
    flat = rows.reshape(-1, rows.shape[-1])
    count = -(-len(flat) // BLOCK)
    missing = -len(flat) % count
    filled = torch.nn.functional.pad(flat, (0, 0, 0, missing)) if missing else flat
    return filled.view(count, -1, flat.shape[-1])


def _product(x: Tensor, y: Tensor) -> Tensor:
    """Σ xᵀy over the blocks (b, rows, ·)."""
    return _summable(torch.bmm(x.mT, y)).sum(0)


def _summable(tensor: Tensor) -> Tensor:
    return tensor.cpu().double() if tensor.device.type == "mps" else tensor.double()


def _front_key(match: Match) -> Hashable:
    """What the rows of f depend on: matches with equal keys share them."""
    layer, _, joint = match
    if joint.kind == "resize":  # the grid behind, however many channels it has
        return layer, joint.kind, joint.end[1:], joint.resize
    return (layer, joint.kind) if joint.kind in TAKEN_WHOLE else (layer, joint)


def _end_key(match: Match) -> Hashable:
    """What the rows of g depend on."""
    _, layer, joint = match
    return (layer, joint.kind == "flatten") if joint.kind in TAKEN_WHOLE else (layer, joint)


def _cross_key(match: Match) -> tuple[Hashable, Hashable]:
    return _front_key(match), _end_key(match)
