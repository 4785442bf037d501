"""Owns the measures that compare the two activations of each image, number by number, and their pass."""

from collections.abc import Callable, Mapping, Sequence
from functools import update_wrapper
from typing import Any

import torch
from torch import Tensor

from repsim.errors import InputError
from repsim.similarity import bootstrap, views
from repsim.similarity.averages import Averages
from repsim.similarity.fit import meets_by_position
from repsim.similarity.moments import check
from repsim.similarity.options import need_known
from repsim.similarity.products import summable
from repsim.similarity.request import Request, Sample, Value
from repsim.similarity.similarity import NOT_FINITE, Similarity, undefined


class RowMeasure:
    """A mean over images of a function of x_i and y_i, with the mean over shifted images as its null."""

    __name__: str

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor], details: Sequence[str]):
        self.numbers, self._details = function, list(details)
        update_wrapper(self, function)

    def __call__(self, x: Tensor, y: Tensor, **options: Any) -> Similarity:
        """Of x and y (n, p), or (n, m, p) with m rows per image; with its null (every image beside the one before it).

        Raises InputError for tensors that are no such pair, for those of other widths, and for options: there are none.
        """
        need_known(self.__name__, options, ())
        check(x, y)
        averages = Averages(self.numbers, Sample(len(x)))
        averages.add(*paired(summable(x), summable(y), self.__name__))
        return self.of(averages)

    def of(self, averages: Averages, draws: bool = False) -> Similarity:
        """Of all images added so far."""
        (value, *rest), null = averages.mean().tolist(), averages.null()
        if not torch.tensor([value, *rest]).isfinite().all():
            return undefined(NOT_FINITE)
        low, high = bootstrap.interval(averages.drawn()[:, 0].tolist(), value) if draws else (None, None)
        details = dict(zip(self._details, rest, strict=True))
        found = Similarity(value, low=low, high=high, details=details)
        return found if null is None else found.with_null(null[0].item(), shifted=True)


def row_measure(*details: str) -> Callable[[Callable[[Tensor, Tensor], Tensor]], RowMeasure]:
    """Make a measure of a function (n, d), (n, d) → (n, 1 + details): its value, and further numbers by name."""
    return lambda function: RowMeasure(function, details)


@row_measure("mean_square")
def l2(x: Tensor, y: Tensor) -> Tensor:
    """Mean over images of ‖x_i − y_i‖₂, over all numbers of an image: as they are, neither centred nor scaled.

    A distance in [0, ∞), symmetric; nothing but a common orthogonal map or translation of both sides leaves it as it is. It
    says how well two layers fit number by number, so it wants the same width (InputError otherwise) and means something where
    the numbers mean the same, as before and after stitching. Details: mean_square, the mean of (x − y)² over all numbers
    (what Csiszárik et al. 2021 publish as l2).
    """
    difference = x - y
    return torch.stack((difference.norm(dim=1), difference.square().mean(1)), 1)


@row_measure("front_active", "end_active")
def sign_overlap(x: Tensor, y: Tensor) -> Tensor:
    """Share of all numbers of all images where both sides are active (> 0) or neither is.

    A similarity in [0, 1], symmetric; unchanged by positive scales, per channel too, and by a common permutation. Wants the
    same width (InputError otherwise). Meant for values before a ReLU: after it, it says where both are alive. Details:
    front_active, end_active, the share of active numbers on each side (Csiszárik et al. 2021 count them at batch norms).
    """
    front, end = x > 0, y > 0
    nothing = (x - x) + (y - y)  # 0, but NaN of numbers that are not finite: they have no sign to compare
    return torch.stack([(share + nothing).mean(1) for share in (front == end, front, end)], 1)


class RowPass:
    """Gathers row measures while images go by."""

    def __init__(self, requests: Sequence[Request], sample: Sample):
        self._sample = sample
        self._averages = {request: Averages(ROW_MEASURES[request.measure].numbers, sample) for request in requests}

    @torch.no_grad()
    def add(self, front: Mapping[Value, Tensor], end: Mapping[Value, Tensor]) -> None:
        """Add one batch: activations (n, …) of both networks, of the same images in the same order."""
        for request, averages in self._averages.items():
            averages.add(*_seen(request, front[request.front], end[request.end]))

    def results(self) -> dict[Request, Similarity]:
        """One for each request, over all images added."""
        draws = bool(self._sample.draws)
        return {request: ROW_MEASURES[request.measure].of(averages, draws) for request, averages in self._averages.items()}


def paired(x: Tensor, y: Tensor, measure: str) -> tuple[Tensor, Tensor]:
    """Both as (n, d), in one precision; InputError where the widths differ."""
    if x.shape[1:] != y.shape[1:]:
        what = f"{measure} compares number by number, and x has {tuple(x.shape[1:])} of them, y {tuple(y.shape[1:])}"
        raise InputError(what, where="y", do="choose layers of one shape, or another measure")
    precision = torch.promote_types(torch.promote_types(x.dtype, y.dtype), torch.float32)
    return x.flatten(1).to(precision), y.flatten(1).to(precision)


def _seen(request: Request, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    if meets_by_position(request.measure, request.view):
        x, y = views.align(x, y, request.align)
    return paired(views.rows(x, request.view), views.rows(y, request.view), request.measure)


ROW_MEASURES = {"l2": l2, "sign_overlap": sign_overlap}
