"""Owns the pass of the measures that need moments: all pairs of layers gathered at once, then their values, nulls, intervals."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from repsim.similarity import bootstrap
from repsim.similarity.moment_measures import MOMENT_MEASURES
from repsim.similarity.moments import Drawn, PairMoments
from repsim.similarity.request import Request, Sample, Value
from repsim.similarity.seen import Seen, Views
from repsim.similarity.similarity import Similarity
from repsim.similarity.stream import Key, Pair, Stream


class MomentPass:
    """Gathers what measures of moments need while images go by, and computes them.

    Products are taken in `products` precision (None: that of the activations, single at least), sums in fp64. How the
    images are cut into batches changes nothing but rounding.
    """

    def __init__(self, requests: Sequence[Request], sample: Sample, products: torch.dtype | None = None):
        self._requests, self._sample, self._products = list(requests), sample, products
        self._images = 0
        self._views: Views
        self._stream: Stream
        self._shifted: dict[Pair, bool] = {}

    @torch.no_grad()
    def add(self, front: Mapping[Value, Tensor], end: Mapping[Value, Tensor]) -> None:
        """Add one batch: activations (n, …) of both networks, of the same images in the same order.

        Raises InputError for layers that cannot meet as a request wants them to.
        """
        if not self._images:
            self._views = Views(self._requests, _shapes(front), _shapes(end))
        x, y = self._views.rows(front, end, self._products)
        if not self._images:
            self._begin(x)
        count = len(next(iter(x.values())))
        for group, where in bootstrap.runs(self._sample, self._images, count):
            self._stream.add(_part(x, where), _part(y, where), group)
        self._images += count

    @torch.no_grad()
    def results(self) -> dict[Request, Similarity]:
        """One for each request, over all images; there are no more of them."""
        assert self._images == self._sample.images, f"{self._images} of {self._sample.images} images were added"
        self._stream.close()
        found = self._values()
        return self._with_intervals(found) if self._sample.draws else found

    def _begin(self, x: Mapping[Seen, Tensor]) -> None:
        pairs: dict[Pair, bool] = {}
        for request, pair in self._views.pairs.items():
            measure = MOMENT_MEASURES[request.measure]
            pairs[pair] = pairs.get(pair, False) or measure.unbiased
            if not measure.closed(x[pair[0]].shape[1]):
                self._shifted[pair] = self._shifted.get(pair, False) or measure.unbiased
        self._stream = Stream(pairs, self._shifted, bootstrap.groups(self._sample))

    def _values(self) -> dict[Request, Similarity]:
        drawn, found = Drawn(self._stream), {}
        for pair, requests in self._by_pair(self._requests).items():
            moments = drawn.moments(*pair)
            chance = drawn.shifted(*pair) if pair in self._shifted and self._images > 1 else None
            found |= {request: _with_null(request, moments, chance) for request in requests}
        return found

    def _with_intervals(self, found: Mapping[Request, Similarity]) -> dict[Request, Similarity]:
        """Groups are drawn with replacement, the same ones for all requests."""
        defined = self._by_pair([request for request, similarity in found.items() if similarity.value is not None])
        values: dict[Request, list[float | None]] = defaultdict(list)
        for weights in bootstrap.weights(self._sample).split(self._stream.draws_at_once()):
            drawn = Drawn(self._stream, weights)
            for pair, requests in defined.items():
                for moments in drawn.draws(*pair):
                    for request in requests:
                        values[request].append(_value(request, moments).value)
        ends = {request: bootstrap.interval(drawn, found[request].value) for request, drawn in values.items()}
        return {r: replace(s, low=ends[r][0], high=ends[r][1]) if r in ends else s for r, s in found.items()}

    def _by_pair(self, requests: Sequence[Request]) -> dict[Pair, list[Request]]:
        found: dict[Pair, list[Request]] = defaultdict(list)
        for request in requests:
            found[self._views.pairs[request]].append(request)
        return found


def _value(request: Request, moments: PairMoments) -> Similarity:
    return MOMENT_MEASURES[request.measure].of(moments, **request.chosen)


def _with_null(request: Request, moments: PairMoments, chance: PairMoments | None) -> Similarity:
    """The value, with its null in closed form, or from the shifted pair `chance`; without one where it is undefined."""
    measure, found = MOMENT_MEASURES[request.measure], _value(request, moments)
    if measure.closed(moments.positions):
        return measure.with_formula(found, moments, **request.chosen)
    return found if found.value is None or chance is None else found.with_null(_value(request, chance).value, shifted=True)


def _shapes(batch: Mapping[Value, Tensor]) -> dict[Value, tuple[int, ...]]:
    return {value: tuple(activation.shape[1:]) for value, activation in batch.items()}


def _part(side: Mapping[Seen, Tensor], where: slice) -> dict[Key, Tensor]:
    return {seen: rows[where] for seen, rows in side.items()}
