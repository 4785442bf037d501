"""Owns the measures of pairs of images as functions of two tensors: the same walk, over one stream that is all there."""

from collections.abc import Hashable

from torch import Tensor

from repsim.errors import InputError
from repsim.similarity.accumulator import Accumulator
from repsim.similarity.products import rounding, summable
from repsim.similarity.request import Request, Sample, Value
from repsim.similarity.similarity import Similarity
from repsim.similarity.walk import Walk

BLOCK = 1024  # images
SHAPES = {
    2: "(images, numbers)",
    3: "(images, positions, channels)",
    4: "(images, channels, height, width)",
}


def measured(
    kind: type[Accumulator], measure: str, x: Tensor, y: Tensor, *, view: str = "flatten", block: int = BLOCK, **options: Hashable
) -> Similarity:
    """`measure` of x and y, as `kind` gathers it, in fp64; any float type, any device.

    Args:
        kind: whose measure it is.
        measure: a key of `known.KNOWN`.
        x, y: (n, p) and (n, q); in view channel also (n, m, c) or (n, c, h, w).
        view: flatten or channel.
        block: images of a block.
        options: of the measure.

    Raises:
        InputError: tensors that are no such pair (other dimensions, another n, no real numbers, not finite), unknown options.
    """
    check(x, y, (2,) if view == "flatten" else (2, 3, 4))
    request = Request(measure, Value("x"), Value("y"), view, options=tuple(sorted(options.items())))
    gatherer = kind([request], Sample(len(x)))
    fronts, ends = (summable(side).split(block) for side in (x, y))
    walk = Walk([gatherer], len(x), block, lambda i: ({request.front: fronts[i]}, {request.end: ends[i]}), lambda share, text: None)
    walk.facts.rounding = {"front": rounding(x), "end": rounding(y)}
    return gatherer.results(walk.go())[request]


def check(x: Tensor, y: Tensor, dimensions: tuple[int, ...]) -> None:
    """Raise InputError where x and y are not activations of the same images."""
    for name, side in (("x", x), ("y", y)):
        if not isinstance(side, Tensor):
            raise InputError(f"{type(side).__name__} is no tensor", where=name, do="give torch.as_tensor of it")
        if side.ndim not in dimensions or not side.numel():
            what = f"a tensor of shape {tuple(side.shape)} is no list of activations"
            raise InputError(what, where=name, do="give " + " or ".join(SHAPES[count] for count in dimensions))
        if not side.is_floating_point():
            raise InputError(f"numbers of type {side.dtype}", where=name, do="give real floating-point numbers")
        if not side.isfinite().all():
            raise InputError("not all numbers are finite", where=name, do="see whether its network has diverged")
    if len(x) != len(y):
        raise InputError(f"x has {len(x)} images, y {len(y)}", where="y", do="give both of the same images in the same order")
