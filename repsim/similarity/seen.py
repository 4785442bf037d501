"""Owns how the layers of requests become rows: which requests see the same rows, and making those once per batch."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from repsim.similarity import fit, views
from repsim.similarity.request import Request, Value

Shapes = Mapping[Value, tuple[int, ...]]
Batch = Mapping[Value, Tensor]


class Seen(NamedTuple):
    """A layer as some requests see it; equal ones have the same rows.

    Attributes:
        align, shape: how it was aligned, and what came out; None where it was left as it is.
    """

    value: Value
    view: str
    align: str | None = None
    shape: tuple[int, ...] | None = None


class Views:
    """The rows (n, m, p) of all layers that requests need, each made once per batch."""

    def __init__(self, requests: Iterable[Request], front: Shapes, end: Shapes):
        """`front`, `end`: shapes without the batch. Raises InputError for layers that cannot meet."""
        self.pairs = {request: _pair(request, front[request.front], end[request.end]) for request in requests}
        self._front = {x: request for request, (x, _) in self.pairs.items()}
        self._end = {y: request for request, (_, y) in self.pairs.items()}

    def rows(self, front: Batch, end: Batch, products: torch.dtype | None) -> tuple[dict[Seen, Tensor], dict[Seen, Tensor]]:
        """Of f and g, in the precision `products` (None: that of the activations, single at least)."""
        x = {seen: _rows(seen, _both(seen, front, end, request)[0], products) for seen, request in self._front.items()}
        y = {seen: _rows(seen, _both(seen, front, end, request)[1], products) for seen, request in self._end.items()}
        return x, y


def _pair(request: Request, front: tuple[int, ...], end: tuple[int, ...]) -> tuple[Seen, Seen]:
    if not fit.meets_by_position(request.measure, request.view):
        return Seen(request.front, request.view), Seen(request.end, request.view)
    to_front, to_end = fit.aligned(front, end, request.align)
    return _seen(request.front, request, front, to_front), _seen(request.end, request, end, to_end)


def _seen(value: Value, request: Request, shape: tuple[int, ...], to: tuple[int, ...]) -> Seen:
    return Seen(value, request.view) if shape == to else Seen(value, request.view, request.align, to)


def _both(seen: Seen, front: Batch, end: Batch, request: Request) -> tuple[Tensor, Tensor]:
    """The activations of a request, aligned where `seen` is; any request that sees this aligns it in the same way."""
    x, y = front[request.front], end[request.end]
    return (x, y) if seen.shape is None else views.align(x, y, request.align)


def _rows(seen: Seen, value: Tensor, products: torch.dtype | None) -> Tensor:
    rows = views.rows(value, seen.view)
    return rows.to(products or torch.promote_types(rows.dtype, torch.float32))
