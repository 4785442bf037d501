"""Owns what the neighbours of each image in two layers have in common: the numbers of every image, and what sums of them mean."""

from collections.abc import Callable
from math import comb

import torch
from torch import Tensor

from repsim.similarity.nearest import found_in
from repsim.similarity.neighbourhood import Neighbourhood


def jaccard_null(k: int, images: int) -> float:
    """Mean of h / (2k − h) over all orders of the images of one side: h is hypergeometric, k of n − 1 images meet k of them."""
    others = images - 1
    ways = ((h, comb(k, h) * comb(others - k, k - h)) for h in range(1, k + 1))
    return sum(h / (2 * k - h) * (way / comb(others, k)) for h, way in ways)


def ratio(sums: Tensor) -> Tensor:
    """The measures of sums (…, 5): (…); what rounding pushes out of [−1, 1] is put back."""
    return (sums[..., 0] / (sums[..., 1] * sums[..., 2]).sqrt()).clamp(-1, 1)


def shuffled(sums: Tensor, images: int) -> Tensor:
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
