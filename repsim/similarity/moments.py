"""Owns the moments of a pair of representations: all that a measure which is linear in each of them needs to know."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from operator import mul
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from repsim.errors import InputError
from repsim.similarity.similarity import SAFETY
from repsim.similarity.stream import Cross, Key, Layer, Stream
from repsim.similarity.ustatistic import enough, estimate, weighed
from repsim.stitching.moments import Moments

T = TypeVar("T")


class Unbiased(NamedTuple):
    """Unbiased estimates of ‖Cov(x, y)‖_F², ‖Cov(x, x)‖_F² and ‖Cov(y, y)‖_F² over distinct images (see `ustatistic`).

    Scalars, fp64. With one row per image they are HSIC₁ of the linear Gram matrices.
    """

    xy: Tensor
    xx: Tensor
    yy: Tensor


@dataclass(frozen=True)
class PairMoments(Moments):
    """`Moments` of rows x (p) and y (q) of `images` images, rows / images from each.

    `unbiased` is None where it was not asked for, and where images < 4. `rounding` is the relative rounding of the values of x and
    of y as they came, where that is more than the `noise` of the products.
    """

    images: int = 0
    unbiased: Unbiased | None = None
    known_x: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)  # what `once_x` has computed
    known_y: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)
    rounding: tuple[float, float] = (0.0, 0.0)
    known: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)  # what `once` has computed

    @property
    def positions(self) -> int:
        """m, the rows of one image."""
        return self.rows // self.images

    @property
    def noise_x(self) -> float:
        """Relative rounding of the values of x: what varies by less is constant."""
        return max(self.noise, self.rounding[0])

    @property
    def noise_y(self) -> float:
        """The same of y."""
        return max(self.noise, self.rounding[1])

    def once_x(self, compute: Callable[..., T], *args: Any) -> T:
        """compute(xx, *args), once for all pairs with this very front layer (say its eigenvectors); `args` are hashable."""
        return _once(self.known_x, self.xx, compute, args)

    def once_y(self, compute: Callable[..., T], *args: Any) -> T:
        """compute(yy, *args), once for all pairs with this very end layer."""
        return _once(self.known_y, self.yy, compute, args)

    def once(self, compute: Callable[..., T], *args: Any) -> T:
        """compute(self, *args), once for all measures of this very pair (say its singular values)."""
        return _once(self.known, self, compute, args)

    def constant(self) -> str | None:
        """The status of a pair where x or y is one point and the rounding around it; None where both vary."""
        x = _varies(self.xx, self.mean_x, self.rows, self.noise_x)
        y = _varies(self.yy, self.mean_y, self.rows, self.noise_y)
        return None if x and y else f"constant layer ({'end' if x else 'front' if y else 'both'})"

    def finite(self) -> bool:
        """Whether no row held anything but finite numbers."""
        return bool(self.xx.trace().isfinite() & self.yy.trace().isfinite() & self.xy.sum().isfinite())

    def swapped(self) -> "PairMoments":
        """The moments of y and x."""
        found = self.unbiased and Unbiased(self.unbiased.xy, self.unbiased.yy, self.unbiased.xx)
        plain = (self.rows, self.mean_y, self.mean_x, self.yy, self.xx, self.xy.mT, self.noise)
        return PairMoments(*plain, self.images, found, self.known_y, self.known_x, (self.rounding[1], self.rounding[0]))

    def restricted(self, basis: Tensor, mean: Tensor | None = None) -> "PairMoments":
        """As of `Moments`, without the unbiased estimates: they do not follow from these sums."""
        plain = super().restricted(basis, mean)
        return replace(self, mean_x=plain.mean_x, xx=plain.xx, xy=plain.xy, unbiased=None, known_x={})


def between(x: Tensor, y: Tensor) -> PairMoments:
    """The moments of x (n, p) and y (n, q), or of m rows per image, (n, m, p) and (n, m, q); products in fp64.

    Raises InputError for tensors that are no such pair: other dimensions, another n or m, no real numbers, not finite.
    """
    check(x, y)
    stream = Stream({("x", "y"): True})
    stream.add({"x": _rows(x)}, {"y": _rows(y)})
    return Drawn(stream).moments("x", "y")


def check(x: Tensor, y: Tensor) -> None:
    """Raise InputError where x and y are not rows of the same images."""
    for name, side in (("x", x), ("y", y)):
        if not isinstance(side, Tensor):
            raise InputError(f"{type(side).__name__} is no tensor", where=name, do="give torch.as_tensor of it")
        if side.ndim not in (2, 3) or not side.numel():
            what = f"a tensor of shape {tuple(side.shape)} is no list of rows"
            raise InputError(what, where=name, do="give (images, numbers) or (images, rows, numbers)")
        if not side.is_floating_point():
            raise InputError(f"numbers of type {side.dtype}", where=name, do="give real floating-point numbers")
        if not side.isfinite().all():
            raise InputError("not all numbers are finite", where=name, do="see whether its network has diverged")
    if len(x) != len(y):
        raise InputError(f"x has {len(x)} images, y {len(y)}", where="y", do="give both of the same images in the same order")
    if x.shape[1:-1] != y.shape[1:-1]:
        what = f"x is {tuple(x.shape)}, y {tuple(y.shape)}: another number of rows per image"
        raise InputError(what, where="y", do="align the grids, or take a view with one row per image")


class Drawn:
    """The moments of the pairs of a stream in d draws, in which group g counts `weights[:, g]` times (None: once, one draw)."""

    def __init__(self, stream: Stream, weights: Tensor | None = None):
        self._stream, self._weights = stream, weights
        self._halves: dict[tuple[str, Key], list[_Half]] = {}

    def moments(self, x: Key, y: Key) -> PairMoments:
        """The moments of a pair in the only draw."""
        (found,) = self.draws(x, y)
        return found

    def draws(self, x: Key, y: Key) -> list[PairMoments]:
        """The moments of a pair in each draw."""
        return self._paired(x, y, self._stream.cross(x, y))

    def shifted(self, x: Key, y: Key) -> PairMoments:
        """The moments of a shifted pair, of the whole stream."""
        assert self._weights is None, "a null is of the whole stream"
        (found,) = self._paired(x, y, self._stream.shifted(x, y))
        return found

    def _paired(self, x: Key, y: Key, cross: Cross) -> list[PairMoments]:
        front, end = self._half("front", x, self._stream.fronts[x]), self._half("end", y, self._stream.ends[y])
        sums = weighed(cross.products, self._weights)
        estimates = _estimates(cross, self._stream.fronts[x].positions, self._weights)
        return [_joined(*parts) for parts in zip(front, end, sums, estimates, strict=True)]

    def _half(self, side: str, key: Key, layer: Layer) -> "list[_Half]":
        if (side, key) not in self._halves:
            self._halves[side, key] = _halves(layer, self._weights)
        return self._halves[side, key]


class _Half(NamedTuple):
    """One layer of a pair, in one draw."""

    images: int
    rows: int
    offset: Tensor  # of the mean from the shift
    mean: Tensor
    gram: Tensor
    noise: float
    unbiased: Tensor | None
    known: dict[Any, Any]


def _joined(front: _Half, end: _Half, sums: Tensor, estimate: Tensor | None) -> PairMoments:
    xy = sums - front.rows * torch.outer(front.offset, end.offset)
    unbiased = None
    if estimate is not None and front.unbiased is not None and end.unbiased is not None:
        unbiased = Unbiased(estimate, front.unbiased, end.unbiased)
    plain = (front.rows, front.mean, end.mean, front.gram, end.gram, xy, front.noise)
    return PairMoments(*plain, front.images, unbiased, front.known, end.known)


def _halves(layer: Layer, weights: Tensor | None) -> list[_Half]:
    side, cross, noise = layer.side, layer.cross(), torch.finfo(layer.shift.dtype).eps
    estimates, found = _estimates(cross, layer.positions, weights), []
    drawn = [sum(side.counts)] if weights is None else [round(sum(map(mul, side.counts, draw))) for draw in weights.tolist()]
    for images, total, sums, unbiased in zip(
        drawn, weighed(side.total, weights), weighed(cross.products, weights), estimates, strict=True
    ):
        rows = images * layer.positions
        offset = total / rows
        gram = sums - rows * torch.outer(offset, offset)
        found.append(_Half(images, rows, offset, layer.shift.to(offset) + offset, gram, noise, unbiased, {}))
    return found


def _estimates(cross: Cross, positions: int, weights: Tensor | None) -> list[Tensor | None]:
    """Of each draw; None where it was not asked for or too few images are drawn."""
    if cross.sums is None:
        return [None] * (1 if weights is None else len(weights))
    found = estimate(cross.sums, positions, weights)
    return [value if defined else None for value, defined in zip(found, enough(cross.sums.counts, weights), strict=True)]


def _rows(side: Tensor) -> Tensor:
    """(n, m, p) in fp64."""
    return (side.cpu() if side.device.type == "mps" else side).double().reshape(len(side), -1, side.shape[-1])


def _once(known: dict[Any, Any], of: Any, compute: Callable[..., T], args: tuple[Any, ...]) -> T:
    key = (compute, *args)
    if key not in known:
        known[key] = compute(of, *args)
    return known[key]


def _varies(gram: Tensor, mean: Tensor, rows: int, noise: float) -> bool:
    """Whether centred sums are more than the rounding of values around `mean`."""
    power = gram.trace()
    return bool(power > (SAFETY * noise) ** 2 * (power + rows * mean.square().sum()))
