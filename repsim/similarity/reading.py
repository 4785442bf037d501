"""Owns reading two networks: each sees a batch once, and gives all that passes ask for, projections and slices among it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from repsim.models.cut import Cuts, Read, cuts
from repsim.models.network import Network
from repsim.similarity import views
from repsim.similarity.fit import Shape
from repsim.similarity.known import LOGITS
from repsim.similarity.pieces import Piece
from repsim.similarity.positions import Slice
from repsim.similarity.projection import Projection
from repsim.similarity.request import Value
from repsim.similarity.walk import full_precision
from repsim.stitching.controls import StandIn

Values = Mapping[Value, Tensor]
Projections = Mapping[Value, Projection | None]
Named = Mapping[str, Tensor]


@dataclass(frozen=True)
class Batch:
    """Of n images: the values (n, …) of f and of g, and their logits where they were asked for."""

    front: dict[Value, Tensor]
    end: dict[Value, Tensor]
    front_logits: Tensor | None = None
    end_logits: Tensor | None = None


@dataclass(frozen=True)
class Replaced:
    """A network with a negative control in the place of its layers' values; its logits stay its own."""

    network: Cuts
    stand_in: StandIn

    def shape(self, layer: str) -> Shape:
        return self.network.shape(layer)

    def reader(self, values: Iterable[str], logits: bool = False) -> Callable[[Tensor], Read]:
        others, own = self.stand_in.reader(list(values)), self.network.reader([], logits=logits)
        return lambda x: replace(own(x), values=dict(others(x)))


class Pair:
    """f and g, traced; a network compared with itself is run once. A `stand_in` gives values in the place of f's layers."""

    def __init__(self, front: Network, end: Network, stand_in: StandIn | None = None):
        self.front, self.end = front, end
        self._front = Replaced(cuts(front), stand_in) if stand_in else cuts(front)
        self._end = None if end is front and stand_in is None else cuts(end)
        self._classes = front.facts.classes, end.facts.classes
        self.projections: tuple[Projections, Projections] = {}, {}

    def shapes(self, front: Iterable[str], end: Iterable[str]) -> tuple[dict[str, Shape], dict[str, Shape]]:
        """The shapes of layers of f and of g, without the batch. Raises InputError for one that a network has not."""
        f, g = self._front, self._end or self._front
        return _shapes(f, front, self._classes[0]), _shapes(g, end, self._classes[1])

    def reader(self, front: Iterable[Value], end: Iterable[Value], logits: bool = False) -> Callable[[Tensor], Batch]:
        """x (n, c, h, w) in [0, 1] → the values, in one truncated forward of each network; no gradient is kept."""
        wanted = list(dict.fromkeys(front)), list(dict.fromkeys(end))
        if self._end is None:
            alone = _reader(self._front, [*wanted[0], *wanted[1]], logits)
            return lambda x: self._batch(wanted, (read := alone(x), read), logits)
        read_front, read_end = _reader(self._front, wanted[0], logits), _reader(self._end, wanted[1], logits)
        return lambda x: self._batch(wanted, (read_front(x), read_end(x)), logits)

    def _batch(self, wanted: tuple[list[Value], list[Value]], read: tuple[Named, Named], logits: bool) -> Batch:
        front, end = (
            {value: _projected(value, found[value.layer], known) for value in values}
            for values, found, known in zip(wanted, read, self.projections, strict=True)
        )
        return Batch(front, end, *(found[LOGITS] for found in read if logits))


def with_slices(values: Values, cuts: Iterable[Slice]) -> dict[Value, Tensor]:
    """The values, and every slice (n, c) of them under its own name."""
    found = dict(values)
    apart: dict[Slice, Tensor] = {}
    for cut in cuts:
        whole = cut._replace(index=0)
        if whole not in apart:
            apart[whole] = views.by_position(views.brought(values[cut.of], cut.shape, cut.align))
        found[cut.value] = apart[whole][cut.index]
    return found


def sources(some: Iterable[Piece]) -> tuple[list[Value], list[Value]]:
    """The values of f and of g that pieces are made of."""
    some = list(some)
    return list(dict.fromkeys(p.origin.front for p in some)), list(dict.fromkeys(p.origin.end for p in some))


@contextmanager
def exactly() -> Iterator[None]:
    """Convolutions and products of fp32 in fp32: neither TF32 nor autocast, no gradient. What was set before is set again."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        with full_precision(), torch.no_grad():
            yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


@contextmanager
def evaluating(*networks: Network) -> Iterator[None]:
    """Eval mode inside; each module's own mode afterwards."""
    modes = [(part, part.training) for network in networks for part in network.modules()]
    try:
        for network in networks:
            network.eval()
        yield
    finally:
        for part, training in modes:
            part.training = training


def _shapes(network: Cuts | Replaced, layers: Iterable[str], classes: int) -> dict[str, Shape]:
    return {layer: (classes,) if layer == LOGITS else network.shape(layer) for layer in dict.fromkeys(layers)}


def _reader(network: Cuts | Replaced, values: Iterable[Value], logits: bool) -> Callable[[Tensor], dict[str, Tensor]]:
    layers = dict.fromkeys(value.layer for value in values)
    read = network.reader([layer for layer in layers if layer != LOGITS], logits=logits or LOGITS in layers)

    def named(x: Tensor) -> dict[str, Tensor]:
        found = read(x)
        return {**found.values, **({} if found.logits is None else {LOGITS: found.logits})}

    return named


def _projected(value: Value, activation: Tensor, known: Projections) -> Tensor:
    """Not-finite numbers stay what they are: they have no components."""
    projection = known.get(value) if value.rank is not None else None
    return projection(activation) if projection else activation
