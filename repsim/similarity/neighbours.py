"""Owns the measures of nearest neighbours: whether two layers put the same images next to each image."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from math import isnan
from typing import NamedTuple

import torch
from torch import Tensor

from repsim.errors import InputError, nearest
from repsim.similarity import alone, bootstrap, overlaps
from repsim.similarity.accumulator import Accumulator, Facts, Source, Tile, sources
from repsim.similarity.neighbourhood import Neighbourhood
from repsim.similarity.options import checked
from repsim.similarity.rdm import Rdm
from repsim.similarity.request import Request, Sample
from repsim.similarity.similarity import OK, Similarity, undefined

FEWEST = {"cknna": 4}  # images that U-centring wants
SHARES = ("mutual_knn", "jaccard")  # measures that only ask who is a neighbour
ALL_NEAR = "neighbours = n − 1: every other image is one, and the value 1 by construction"
METRICS: dict[str, Rdm] = {"cosine": Rdm("cosine"), "euclidean": Rdm("sqeuclidean")}  # a square keeps the order


@checked
def mutual_knn(x: Tensor, y: Tensor, *, neighbours: int = 10, metric: str = "cosine") -> Similarity:
    """Σ_i |N_x(i) ∩ N_y(i)| / nk: the share of the k nearest images of an image that both layers agree on.

    N_x(i) are the k = `neighbours` images nearest to image i in x, i itself not among them; of equally near ones (see
    `ranks.snapped`) those that come first. Huh, Cheung, Wang & Isola (2024), The platonic representation hypothesis, appendix A.

    Args:
        x, y: (n, p) and (n, q) of the same images; any float type, any device; computed in fp64.
        metric: `cosine` (as published: rows of length 1) or `euclidean`.

    Returns:
        In [0, 1]; 1 for x = y. The same for y and x. Null: k/(n − 1), the exact mean over all orders of the images. A bootstrap
        draws groups of images with what their neighbours are among all images. For k = n − 1 the status says that it is 1 by
        construction. Undefined for k ≥ n, for a constant layer,
        and where all images are equally far apart.

    Unchanged by orthogonal maps and isotropic scales; by translations with `euclidean`, by a factor > 0 for each image with
    `cosine`, where an image of zeros is at distance 1 from every other; `still_images_front`, `…_end` in the details count them.
    """
    return alone.measured(Neighbours, "mutual_knn", x, y, neighbours=neighbours, metric=metric)


@checked
def jaccard(x: Tensor, y: Tensor, *, neighbours: int = 10, metric: str = "cosine") -> Similarity:
    """Mean over images of |N_x(i) ∩ N_y(i)| / |N_x(i) ∪ N_y(i)|; all else as in `mutual_knn`, but the null.

    Klabunde et al. (2023), Similarity of neural network models: a survey. Null: Σ_h h/(2k − h) · P(h), h hypergeometric: k drawn of
    n − 1 images, of which k count; exact.
    """
    return alone.measured(Neighbours, "jaccard", x, y, neighbours=neighbours, metric=metric)


@checked
def cknna(x: Tensor, y: Tensor, *, neighbours: int = 10) -> Similarity:
    """Debiased CKA of what is near: A(x, y) / √(A(x, x) A(y, y)), A(x, y) = Σ_i Σ_{j ∈ N_x(i) ∩ N_y(i)} U_ij V_ij.

    U is the U-centred matrix of the cosines of the images in x, with r_i = Σ_{j≠i} K_ij and R = Σ_i r_i
        U_ij = K_ij − (r_i + r_j)/(n − 2) + R/((n − 1)(n − 2)),    U_ii = 0,
    V that of y, and N_x(i) the k = `neighbours` images with the greatest cosine to image i (ties: see `mutual_knn`).

    Huh, Cheung, Wang & Isola (2024), appendix A: their sum over mutual neighbours of centred similarities of rows of length 1,
    here with the centring that makes HSIC unbiased (Székely & Rizzo 2014). A(x, x) is a sum of squares and Cauchy–Schwarz holds,
    which is not so of their published code: it masks first and puts the masked matrices, which are not symmetric, into the
    three terms of HSIC₁. With k = n − 1 it is the debiased linear CKA of the rows of length 1.

    Returns:
        In [−1, 1]; 1 for x = y. The same for y and x. Null: ΣU ΣV / (n(n − 1) √(A(x, x) A(y, y))), sums over the neighbours of
        each image: the exact mean over all orders of the images. Undefined for k ≥ n, n < 4, a constant layer, and where all
        images are equally far apart. The bootstrap is that of `mutual_knn`, with U and V as they are.

    Unchanged by orthogonal maps, isotropic scales and a factor > 0 for each image; not by translations.
    """
    return alone.measured(Neighbours, "cknna", x, y, neighbours=neighbours)


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
        flat = {layer for layer in self._layers.values() if layer.flat(facts)}
        found = {request: self._why_not(request, flat, facts) for request in self._requests}
        left = [request for request, why in found.items() if why is None]
        found |= dict(zip(left, self._numbers(left), strict=True))
        return {request: replace(one, details=self._details(request)) for request, one in found.items() if one}

    def _why_not(self, request: Request, all_flat: Set[Neighbourhood], facts: Facts) -> Similarity | None:
        """Why a request has no value; None where it has one."""
        k, images = self._requests[request].k, self._sample.images
        if k >= images or images < FEWEST.get(request.measure, 2):
            return undefined(f"{images} images are too few for {k} neighbours")
        if (why := facts.constant_status(*sources(request))) is not None:
            return undefined(why)
        flat = [layer.source.side for layer in self._pair(request) if layer in all_flat]
        return undefined(f"all images are equally far apart ({'both' if len(flat) == 2 else flat[0]})") if flat else None

    def _numbers(self, requests: Sequence[Request]) -> list[Similarity]:
        """All that have a value; one transfer from the device."""
        if not requests:
            return []
        sums = [self._by_group(overlaps.NUMBERS[request.measure](*self._pair(request))) for request in requests]
        return [self._of(request, one) for request, one in zip(requests, torch.stack(sums).cpu(), strict=True)]

    def _of(self, request: Request, sums: Tensor) -> Similarity:
        """From the sums by group, (g, 5)."""
        k, n = self._requests[request].k, self._sample.images
        drawn = overlaps.ratio(bootstrap.weights(self._sample) @ sums).tolist() if self._sample.draws else []
        total = sums.sum(0)
        null = overlaps.jaccard_null(k, n) if request.measure == "jaccard" else float(overlaps.shuffled(total, n))
        value = float(overlaps.ratio(total))
        low, high = bootstrap.interval(drawn, value)
        if isnan(value):
            return undefined("no pair of neighbours stands out")
        return Similarity(value, ALL_NEAR if k == n - 1 and request.measure in SHARES else OK, null, low=low, high=high)

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
