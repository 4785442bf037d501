"""Owns the frozen pair: front network f up to its layers, end network g from its layers on, read once per batch."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from repsim.models.cut import Cuts, Suffix
from repsim.models.network import Network
from repsim.stitching.moments import Moments, Stream

Batch = tuple[Tensor, Tensor]  # x (n, c, h, w) in [0, 1], y (n,)


@dataclass(frozen=True)
class Reading:
    """One batch as the stitchers see it: f's value at every front layer, and what passes every end layer by."""

    front: Mapping[str, Tensor]
    carried: Mapping[str, tuple[Tensor, ...]]


class Pair:
    """f and g with the layers of one group. Both are frozen: eval mode, no gradient for any parameter.

    Maps are kept channels-last: a stitcher is then one GEMM, without copies.
    Raises InputError for a layer that a network does not have.
    """

    def __init__(self, front: Network, end: Network, front_layers: Iterable[str], end_layers: Iterable[str]):
        self.front, self.end = _frozen(front), _frozen(end)
        self.front_layers, self.end_layers = sorted(set(front_layers)), sorted(set(end_layers))
        front_cuts, end_cuts = Cuts(self.front), Cuts(self.end)
        self._read_front = front_cuts.front(self.front_layers)
        self._read_end = end_cuts.front(self.end_layers)
        self._read_carried = end_cuts.carried(self.end_layers)
        self.suffixes: dict[str, Suffix] = {layer: end_cuts.suffix(layer).eval() for layer in self.end_layers}
        self.front_shapes = {layer: front_cuts.shape(layer) for layer in self.front_layers}
        self.end_shapes = {layer: end_cuts.shape(layer) for layer in self.end_layers}

    @property
    def device(self) -> torch.device:
        return self.end.mean.device

    @torch.no_grad()
    def read(self, x: Tensor) -> Reading:
        """One truncated forward of f for all front layers, and of g for what its suffixes need besides their value."""
        x = x.contiguous(memory_format=torch.channels_last)
        return Reading(self._read_front(x), self._read_carried(x))

    @torch.no_grad()
    def moments(self, pairs: Sequence[tuple[str, str]], batches: Iterable[Batch]) -> dict[tuple[str, str], Moments]:
        """Moments of every (front layer, end layer) of `pairs` over `batches`: one pass of f and one of g."""
        stream = Stream(pairs)
        for x, _ in batches:
            x = x.contiguous(memory_format=torch.channels_last)
            stream.add(self._read_front(x), self._read_end(x))
        return {pair: stream.moments(pair) for pair in stream.pairs}


def _frozen(network: Network) -> Network:
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
