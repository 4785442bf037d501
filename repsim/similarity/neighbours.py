"""Owns the measures of nearest neighbours: whether two layers put the same images next to each image."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import comb
from typing import NamedTuple

import torch
from torch import Tensor

from repsim.errors import InputError, nearest
from repsim.similarity import bootstrap
from repsim.similarity.accumulator import Accumulator, Facts, Source, Tile, sources
from repsim.similarity.nearest import found_in
from repsim.similarity.neighbourhood import Neighbourhood
from repsim.similarity.rdm import Rdm
from repsim.similarity.request import Request, Sample
from repsim.similarity.similarity import Similarity, undefined

FEWEST = {"cknna": 4}  # images that U-centring wants
METRICS: dict[str, Rdm] = {"cosine": Rdm("cosine"), "euclidean": Rdm("sqeuclidean")}  # a square keeps the order


class Order(NamedTuple):
    """What makes the neighbours of an image: equal ones are found once per layer."""

    kernel: Rdm
    k: int


class Neighbours(Accumulator):
    """`mutual_knn`, `jaccard` and `cknna` of many pairs of layers."""

    def __init__(self, requests: Sequence[Request], sample: Sample):
        self._requests, self._sample = {request: order(request) for request in requests}, sample
        self._layers = {
            (of, source): Neighbourhood(of.kernel, source, min(of.k, sample.images), sample.images)
            for request, of in self._requests.items()
            for source in sources(request)
        }

    def needs(self) -> Iterable[tuple[Rdm, Source]]:
        return ((of.kernel, source) for of, source in self._layers)

    def add(self, tile: Tile, sweep: int) -> None:
        for layer in self._layers.values():
            layer.add(tile)

    def results(self, facts: Facts) -> Mapping[Request, Similarity]:
        found = {request: self._why_not(request, facts) for request in self._requests}
        left = [request for request, why in found.items() if why is None]
        found |= dict(zip(left, self._numbers(left), strict=True))
        return {request: replace(one, details=self._details(request)) for request, one in found.items() if one}

    def _why_not(self, request: Request, facts: Facts) -> Similarity | None:
        """Why a request has no value; None where it has one."""
        k, images = self._requests[request].k, self._sample.images
        if k >= images or images < FEWEST.get(request.measure, 2):
            return undefined(f"{images} images are too few for {k} neighbours")
        flat = [layer.source.side for layer in self._pair(request) if layer.flat(facts)]
        return undefined(f"all images are equally far apart ({'both' if len(flat) == 2 else flat[0]})") if flat else None

    def _numbers(self, requests: Sequence[Request]) -> list[Similarity]:
        """All that have a value; one transfer from the device."""
        if not requests:
            return []
        sums = [self._by_group(NUMBERS[request.measure](*self._pair(request))) for request in requests]
        return [self._of(request, one) for request, one in zip(requests, torch.stack(sums).cpu(), strict=True)]

    def _of(self, request: Request, sums: Tensor) -> Similarity:
        """From the sums by group, (g, 5)."""
        k, n = self._requests[request].k, self._sample.images
        drawn = _ratio(bootstrap.weights(self._sample) @ sums).tolist() if self._sample.draws else []
        low, high = bootstrap.interval(drawn)
        total = sums.sum(0)
        null = jaccard_null(k, n) if request.measure == "jaccard" else float(_shuffled(total, n))
        return Similarity(float(_ratio(total)), null=null, low=low, high=high)

    def _by_group(self, numbers: Tensor) -> Tensor:
        runs = bootstrap.runs(self._sample, 0, self._sample.images)
        return torch.stack([numbers[where].sum(0) for _, where in runs])

    def _details(self, request: Request) -> dict[str, float]:
        layers = self._pair(request)
        return {f"still_images_{layer.source.side}": float(layer.still) for layer in layers if layer.still}

    def _pair(self, request: Request) -> tuple[Neighbourhood, Neighbourhood]:
        of = self._requests[request]
        front, end = (self._layers[of, source] for source in sources(request))
        return front, end


def order(request: Request) -> Order:
    """What its neighbours depend on; InputError where that means nothing."""
    k, metric = request.chosen.get("neighbours", 10), request.chosen.get("metric", "cosine")
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise InputError(f"neighbours must be a whole number from 1 on, not {k!r}", where="neighbours", do="take 10, as most do")
    if metric not in METRICS:
        raise InputError(f"there is no metric '{metric}'", where="metric", do=nearest(str(metric), METRICS))
    return Order(METRICS[metric], k)


def jaccard_null(k: int, images: int) -> float:
    """Mean of h / (2k − h) over all orders of the images of one side: h is hypergeometric, k of n − 1 images meet k of them."""
    others = images - 1
    ways = ((h, comb(k, h) * comb(others - k, k - h)) for h in range(1, k + 1))
    return sum(h / (2 * k - h) * (way / comb(others, k)) for h, way in ways)


def _ratio(sums: Tensor) -> Tensor:
    return sums[..., 0] / (sums[..., 1] * sums[..., 2]).sqrt()


def _shuffled(sums: Tensor, images: int) -> Tensor:
    """The mean ratio over all orders of the images of one side: every neighbour of x then meets every pair of images of y."""
    return sums[3] * sums[4] / (images * (images - 1)) / (sums[1] * sums[2]).sqrt()


def _mutual(x: Neighbourhood, y: Neighbourhood) -> Tensor:
    shared, k = _shared(x, y), torch.full((x.images,), float(x.k), dtype=torch.float64, device=x.index.device)
    return torch.stack([shared, k, k, k, k], 1)


def _jaccard(x: Neighbourhood, y: Neighbourhood) -> Tensor:
    shared = _shared(x, y)
    ones = torch.ones_like(shared)
    return torch.stack([shared / (2 * x.k - shared), ones, ones, ones, ones], 1)


def _cknna(x: Neighbourhood, y: Neighbourhood) -> Tensor:
    u, v = x.centred, y.centred
    shared, at = found_in(x.index, y.index)
    products = torch.where(shared, u * v.gather(1, at), 0.0)
    return torch.stack([part.sum(1) for part in (products, u.square(), v.square(), u, v)], 1)


def _shared(x: Neighbourhood, y: Neighbourhood) -> Tensor:
    """How many neighbours each image has in both layers, (n,)."""
    return found_in(x.index, y.index)[0].sum(1).double()


NUMBERS: dict[str, Callable[[Neighbourhood, Neighbourhood], Tensor]] = {"mutual_knn": _mutual, "jaccard": _jaccard, "cknna": _cknna}
"""(n, 5) of each image: a, b, c whose sums make the measure Σa / √(Σb Σc), and d, e whose sums make its null, ΣdΣe / n(n − 1)
in the place of Σa."""
