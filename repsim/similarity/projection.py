"""Owns low-rank versions of layers: the best approximation of the channels by their top principal components.

Every position is a row of channels (vectors and tokens: their last axis), centred over all images and positions.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from repsim.similarity import views
from repsim.similarity.request import Value
from repsim.similarity.stream import Layer
from repsim.stitching.moments import Moments, NotFinite, principal


@dataclass(frozen=True)
class Projection:
    """x ↦ m + VVᵀ(x − m) of the channels, for orthonormal columns V (c, r) and a point m (c,)."""

    basis: Tensor
    mean: Tensor

    def __call__(self, value: Tensor) -> Tensor:
        """An activation (n, …), in its own shape and precision."""
        axis = 1 if value.dim() == 4 else -1
        rows = value.movedim(axis, -1)
        basis, mean = self.basis.to(rows), self.mean.to(rows)
        return (mean + (rows - mean) @ basis @ basis.mT).movedim(-1, axis)


class Components:
    """Finds the projections of some values while images go by."""

    def __init__(self, values: Iterable[Value]):
        self._values = list(values)
        self._layers = {value.layer: Layer(1, unbiased=False) for value in self._values}
        self._images = 0

    @torch.no_grad()
    def add(self, batch: Mapping[Value, Tensor]) -> None:
        """Add the activations (n, …) of the layers themselves, under `Value(layer)`."""
        for name, layer in self._layers.items():
            layer.add(views.rows(batch[Value(name)], "channel"), 0)
        self._images += len(next(iter(batch.values()), ()))

    def projections(self) -> dict[Value, Projection | None]:
        """One for each value; None where the layer's activations are not finite."""
        moments = {name: self.moments(name) for name in self._layers}
        return {value: _projection(moments[value.layer], value.rank) for value in self._values}

    def moments(self, name: str) -> Moments:
        """Those of the channels of a layer, over all images and positions so far."""
        layer = self._layers[name]
        rows, total = self._images * layer.positions, layer.side.total[0]
        centred = layer.cross().products[0] - torch.outer(total, total) / rows
        mean = layer.shift.to(total) + total / rows
        return Moments(rows, mean, mean, centred, centred, centred)


def approximated(value: Tensor, rank: int) -> Tensor:
    """An activation (n, …) replaced by its best approximation of this rank. Raises InputError for one that has no such rank."""
    whole = Value("value")
    components = Components([whole._replace(rank=rank)])
    components.add({whole: value})
    found = components.projections()[whole._replace(rank=rank)]
    return found(value) if found else value


def _projection(moments: Moments, rank: int | None) -> Projection | None:
    assert rank is not None
    try:
        return Projection(*principal(moments, rank))
    except NotFinite:
        return None
