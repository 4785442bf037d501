"""Owns minibatch CKA: unbiased HSIC of every batch of the stream by itself, averaged, then one ratio."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from repsim.errors import InputError
from repsim.similarity import bootstrap
from repsim.similarity.accumulator import Accumulator, Block, Facts, Source
from repsim.similarity.hsic import FEWEST, Hsic
from repsim.similarity.kernel_sums import products
from repsim.similarity.kernels import Inner
from repsim.similarity.pairing import Pairing, Table
from repsim.similarity.products import summable
from repsim.similarity.request import Request, Sample
from repsim.similarity.similarity import Similarity, undefined
from repsim.similarity.symmetric import own_products

BATCH = 256  # images where nothing is said
FEWEST_BATCHES = 5  # behind an interval: of two it would be far too narrow, of one a point


class MinibatchCka(Accumulator):
    """`cka_minibatch` of many pairs of layers; takes no tiles, so n² is not paid."""

    sweeps = 0
    in_order = True

    def __init__(self, requests: Sequence[Request], sample: Sample):
        members: dict[tuple[int, str], list[Request]] = {}
        for request in requests:
            members.setdefault((_batch(request.chosen), request.view), []).append(request)
        self._grids = [Grid(batch, found, sample) for (batch, _), found in members.items()]

    def needs(self) -> Iterable[tuple[Inner, Source]]:
        return ((Inner(), source) for grid in self._grids for source in grid.pairing.sources)

    def see(self, block: Block) -> None:
        for grid in self._grids:
            grid.see(block)

    def results(self, facts: Facts) -> Mapping[Request, Similarity]:
        found = {}
        for grid in self._grids:
            found |= grid.results(facts)
        return found


class Grid:
    """All fronts and ends that some requests of one size of batch name."""

    def __init__(self, batch: int, requests: Sequence[Request], sample: Sample):
        self._batch, self._sample = batch, sample
        self.pairing = Pairing(requests)
        self._waiting: dict[Source, Tensor] = {}  # images of a batch that is not full yet
        self._found: list[Hsic] = []  # of each batch, times n (n − 3): a batch counts by how many pairs it has
        self._used = 0

    def see(self, block: Block) -> None:
        """Take the full batches that a block completes; at the end of the stream the last one as it is."""
        coming = {source: block.rows(source)[:, 0] for source in self.pairing.sources}
        rows = {source: torch.cat((self._waiting[source], new)) if self._waiting else new for source, new in coming.items()}
        count = len(next(iter(rows.values())))
        full = count - count % self._batch
        if full:
            self._add({source: some[:full].unflatten(0, (-1, self._batch)) for source, some in rows.items()})
        self._waiting = {source: some[full:].clone() for source, some in rows.items()}
        if block.stop == self._sample.images and count - full >= FEWEST:
            self._add({source: some[None] for source, some in self._waiting.items()})

    def results(self, facts: Facts) -> dict[Request, Similarity]:
        details = {"batch": float(self._batch), "images_used": float(self._used)}
        if not self._found:
            why = f"{facts.images} images, and cka_minibatch takes {FEWEST}"
            return dict.fromkeys(self.pairing.of, undefined(why, **details))
        tables = self._tables()
        found = {request: self._result(request, tables, facts) for request in self.pairing.of}
        return {request: replace(one, details=details) for request, one in found.items()}

    def _result(self, request: Request, tables: tuple[Table, Table | None, Table | None], facts: Facts) -> Similarity:
        why = facts.constant_status(*self.pairing.of[request])
        value, low, high = (self.pairing.pick(table, request) for table in tables)
        if why or value is None:
            return undefined(why or "the images of every batch are equally alike")
        return Similarity(value, null=0.0, low=low, high=high)

    def _add(self, batches: Mapping[Source, Tensor]) -> None:
        """Add batches of one size, (batches, images, p) of each source."""
        x, y = ([_centred(batches[source]) for source in side] for side in (self.pairing.fronts, self.pairing.ends))
        for at in range(len(x[0])):
            one, other = (torch.stack([layer[at] for layer in side]) for side in (x, y))
            own = (summable(torch.linalg.vector_norm(side, dim=2)).square().sum(1) for side in (one, other))
            self._found.append(Hsic(products(one, other), *own))
            self._used += one.shape[1]

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


def _centred(rows: Tensor) -> Tensor:
    """U-centred inner products of every batch (batches, n, p): (batches, n, n); ⟨U, U'⟩ is n (n − 3) HSIC₁."""
    rows = rows - rows.mean(1, keepdim=True)
    products = own_products(rows)
    products.diagonal(dim1=1, dim2=2).zero_()
    n = products.shape[1]
    means = products.sum(2, keepdim=True) / (n - 2)
    centred = products - means - means.mT + means.sum(1, keepdim=True) / (n - 1)
    centred.diagonal(dim1=1, dim2=2).zero_()
    return centred


def _batch(options: Mapping[str, Any]) -> int:
    batch = options.get("batch", BATCH)
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < FEWEST:
        raise InputError(
            f"unbiased HSIC takes {FEWEST} images, and a batch has {batch!r}", where="batch", do="give a batch of 4 or more"
        )
    return batch


MINIBATCH_MEASURES = ("cka_minibatch",)
