"""Owns the view `position`: one comparison of the rows at each position of two aligned layers, and the mean of the numbers.

A slice is a value like any other to the passes: `Slices` names them, `values` cuts them out, `mean` puts the numbers together.
Light on purpose: the planner counts slices.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import NamedTuple

from repsim.similarity import fit
from repsim.similarity.fit import Shape
from repsim.similarity.request import Request, Value
from repsim.similarity.similarity import OK, Similarity, undefined


class Slice(NamedTuple):
    """The values (n, c) at one position of an activation that was brought to `shape` by `align`."""

    of: Value
    shape: Shape
    align: str | None
    index: int

    @property
    def value(self) -> Value:
        """Its name for the passes."""
        grid = "×".join(map(str, self.shape[1:] if len(self.shape) == 3 else self.shape[:1]))
        return Value(f"{self.of.layer} on {grid} by {self.align} at {self.index}", self.of.rank)


def slices(request: Request, front: Shape, end: Shape) -> list[tuple[Slice, Slice]]:
    """The pairs of slices that a request of view `position` compares; layers of these shapes."""
    x, y = fit.aligned(front, end, request.align)
    moved = x != front, y != end
    places = range(fit.positions(x))
    return [
        (
            Slice(request.front, x, request.align if moved[0] else None, index),
            Slice(request.end, y, request.align if moved[1] else None, index),
        )
        for index in places
    ]


def at(request: Request, pair: tuple[Slice, Slice]) -> Request:
    """The same request of two slices."""
    return replace(request, front=pair[0].value, end=pair[1].value, align=None, view="channel")


def mean(found: Sequence[Similarity]) -> Similarity:
    """The mean over the positions where the measure is defined, of the value, the null and every detail.

    A detail that a position does not mention is 0 there: counts are mentioned where there is something to count.
    """
    defined = [one for one in found if one.value is not None]
    if not defined:
        return undefined(found[0].status, positions=0)
    names = dict.fromkeys(name for one in defined for name in one.details)
    details = {name: fmean(one.details.get(name, 0.0) for one in defined) for name in names}
    nulls = [one.null for one in defined if one.null is not None]
    return Similarity(
        fmean(one.value for one in defined if one.value is not None),
        _status(found),
        fmean(nulls) if len(nulls) == len(defined) else None,
        any(one.shifted for one in defined),
        details={"positions": len(defined), **details},
    )


def _status(found: Sequence[Similarity]) -> str:
    """ok where it is everywhere; else at how many positions it is not, and the commonest reason."""
    bad = Counter(one.status for one in found if one.status != OK)
    return f"at {bad.total()} of {len(found)} positions: {bad.most_common(1)[0][0]}" if bad else OK
