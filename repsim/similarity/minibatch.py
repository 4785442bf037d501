"""Owns minibatch CKA: unbiased HSIC of every batch of the stream by itself, averaged, then one ratio.

Batches are taken as they come: memory holds one, and n² is not paid.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from repsim.errors import InputError
from repsim.similarity import bootstrap, cores, views
from repsim.similarity.accumulator import Side, Source
from repsim.similarity.centred import CentredProducts, State
from repsim.similarity.hsic import FEWEST, Hsic
from repsim.similarity.kernel_sums import products
from repsim.similarity.pairing import Pairing, Table
from repsim.similarity.products import rounding as eps_of
from repsim.similarity.products import summable
from repsim.similarity.request import Request, Sample, Value
from repsim.similarity.similarity import NOT_FINITE, Similarity, constant_status, undefined

BATCH = 256  # images where nothing is said
FEWEST_BATCHES = 5  # behind an interval: of two it would be far too narrow, of one a point


class MinibatchPass:
    """`cka_minibatch` of many pairs of layers, gathered while images go by."""

    def __init__(self, requests: Sequence[Request], sample: Sample, rounding: Mapping[Side, float] | None = None):
        """`rounding`: relative, of the activations of each side, where it is more than that of their type."""
        members: dict[tuple[int, str], list[Request]] = {}
        for request in requests:
            members.setdefault((_batch(request.chosen), request.view), []).append(request)
        self._grids = [Grid(batch, found, sample, rounding or {}) for (batch, _), found in members.items()]

    @torch.no_grad()
    def add(self, front: Mapping[Value, Tensor], end: Mapping[Value, Tensor]) -> None:
        """Add the next images: activations (n, …) of both networks, in the same order."""
        for grid in self._grids:
            grid.add({"front": front, "end": end})

    def results(self) -> dict[Request, Similarity]:
        """One for each request, over all images added."""
        found = {}
        for grid in self._grids:
            found |= grid.results()
        return found


class Grid:
    """All fronts and ends that some requests of one size of batch name."""

    def __init__(self, batch: int, requests: Sequence[Request], sample: Sample, rounding: Mapping[Side, float]):
        self._batch, self._sample, self._rounding = batch, sample, rounding
        self._pairing = Pairing(requests)
        self._layers: dict[Source, CentredProducts] = {}
        self._waiting: dict[Source, Tensor] = {}  # images of a batch that is not full yet
        self._found: list[Hsic] = []  # of each batch, times n (n − 3): a batch counts by how many pairs it has
        self._seen = self._used = 0

    def add(self, values: Mapping[str, Mapping[Value, Tensor]]) -> None:
        """Take the batches that these images complete; at the end of the stream the last one as it is."""
        rows = {source: self._rows(source, values[source.side][source.value]) for source in self._pairing.sources}
        count = len(next(iter(rows.values())))
        self._seen += count - sum(len(some) for some in list(self._waiting.values())[:1])
        full = count - count % self._batch
        for start in range(0, full, self._batch):
            self._take({source: some[start : start + self._batch] for source, some in rows.items()})
        rest = {source: some[full:] for source, some in rows.items()}
        if self._seen == self._sample.images and count - full >= FEWEST:
            self._take(rest)
        self._waiting = {source: some.clone() for source, some in rest.items()} if count > full else {}

    def results(self) -> dict[Request, Similarity]:
        details = {"batch": float(self._batch), "images_used": float(self._used)}
        if not self._found:
            why = f"{self._sample.images} images, and cka_minibatch takes {FEWEST}"
            return dict.fromkeys(self._pairing.of, undefined(why, **details))
        tables, states = self._tables(), self._states()
        found = {request: self._result(request, tables, states) for request in self._pairing.of}
        return {request: replace(one, details=details) for request, one in found.items()}

    def _rows(self, source: Source, value: Tensor) -> Tensor:
        """(n, p), those that wait for a full batch first."""
        rows = views.rows(value, source.view)
        if rows.shape[1] > 1:
            what = f"layer '{source.value.layer}' has {rows.shape[1]} rows per image in view {source.view}, and images are compared"
            raise InputError(what, where="view", do="say view: flatten, pool or position")
        new = rows[:, 0].to(torch.promote_types(rows.dtype, torch.float32))
        return torch.cat((self._waiting[source], new)) if source in self._waiting else new

    def _take(self, rows: Mapping[Source, Tensor]) -> None:
        """Add one batch, (images, p) of each source."""
        for source, x in rows.items():
            if source not in self._layers:
                self._layers[source] = CentredProducts(x, max(eps_of(x), self._rounding.get(source.side, 0.0)))
        widest_first = sorted(rows, key=lambda source: -rows[source].shape[1])
        device = rows[widest_first[0]].device
        made = cores.each(partial(self._centred, rows), widest_first, device)
        found = dict(zip(widest_first, made, strict=True))
        one, other = (torch.stack([found[source] for source in side]) for side in (self._pairing.fronts, self._pairing.ends))
        front, end = (self._weights(side) for side in (self._pairing.fronts, self._pairing.ends))
        xx, yy = (summable(torch.linalg.vector_norm(side, dim=(1, 2))) for side in (one, other))
        self._found.append(Hsic(products(one, other) * torch.outer(front, end), (front * xx).square(), (end * yy).square()))
        self._used += len(rows[widest_first[0]])

    def _centred(self, rows: Mapping[Source, Tensor], source: Source) -> Tensor:
        return self._layers[source].centred(rows[source])

    def _weights(self, side: Sequence[Source]) -> Tensor:
        return torch.stack([self._layers[source].weight for source in side])

    def _result(
        self, request: Request, tables: tuple[Table, Table | None, Table | None], states: Mapping[Source, State]
    ) -> Similarity:
        front, end = (states[source] for source in self._pairing.of[request])
        if "not finite" in (front, end):
            return undefined(NOT_FINITE)
        if why := constant_status(front == "constant", end == "constant"):
            return undefined(why)
        value, low, high = (self._pairing.pick(table, request) for table in tables)
        if value is None or "flat" in (front, end):
            return undefined("the images of every batch are equally alike")
        return Similarity(value, null=0.0, low=low, high=high)

    def _states(self) -> dict[Source, State]:
        """Of each layer, asked once for all its pairs."""
        own = [torch.stack(sums).sum(0) for sums in zip(*((one.xx, one.yy) for one in self._found), strict=True)]
        sides = zip((*self._pairing.fronts, *self._pairing.ends), torch.cat(own), strict=True)
        return {source: self._layers[source].state(sums) for source, sums in sides}

    def _tables(self) -> tuple[Table, Table | None, Table | None]:
        """Value and interval of all pairs; a draw takes batches with replacement. Few batches give no interval."""
        parts = Hsic(*(torch.stack([getattr(one, name) for one in self._found]) for name in ("xy", "xx", "yy")))
        value = _ratio(parts, torch.ones(len(self._found)))
        if not self._sample.draws or len(self._found) < FEWEST_BATCHES:
            return value.tolist(), None, None
        draws = bootstrap.weights(replace(self._sample, groups=len(self._found)))
        low, high = bootstrap.intervals(torch.stack([_ratio(parts, weights) for weights in draws]), value)
        return value.tolist(), low.tolist(), high.tolist()


def _ratio(batches: Hsic, weights: Tensor) -> Tensor:
    """The ratio of sums over batches (batches, …)."""
    weights = weights.to(batches.xy)
    return Hsic(*(torch.tensordot(weights, part, 1) for part in (batches.xy, batches.xx, batches.yy))).ratio()


def _batch(options: Mapping[str, Any]) -> int:
    batch = options.get("batch", BATCH)
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < FEWEST:
        raise InputError(
            f"unbiased HSIC takes {FEWEST} images, and a batch has {batch!r}", where="batch", do="give a batch of 4 or more"
        )
    return batch


MINIBATCH_MEASURES = ("cka_minibatch",)
