"""Owns how far other images turn the values of layers: the cosine of an image's value and that of its twin, layer by layer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from math import nan, prod

import torch
from torch import Tensor

from repsim.models.cut import Cuts
from repsim.stitching import batchnorm
from repsim.stitching.evaluation import Entry
from repsim.stitching.pair import Pair

BUDGET = 256 * 1024**2  # bytes of values that are held at once, of one batch
MAP = "S"  # the value that the stitcher makes
Read = Callable[[Tensor], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Shifts:
    """What can be read of a network: how many values of an image each layer has, and a reader of some of them."""

    sizes: Mapping[str, int]
    reader: Callable[[Sequence[str]], Read]

    @classmethod
    def of_front(cls, pair: Pair) -> "Shifts":
        """All layers of f."""
        return cls(_sizes(pair.front_cuts, pair.front_cuts.names), lambda layers: _plain(pair.front_cuts, layers))

    @classmethod
    def of_end(cls, pair: Pair) -> "Shifts":
        """All layers of g."""
        return cls(_sizes(pair.end_cuts, pair.end_cuts.names), lambda layers: _plain(pair.end_cuts, layers))

    @classmethod
    def of_stitched(cls, pair: Pair, entry: Entry) -> "Shifts":
        """f's layers up to the cut as front:LAYER, what S makes as S, and g's layers behind the cut as end:LAYER."""
        names, behind = pair.front_cuts.names, pair.end_cuts.behind(entry.end_layer)
        before = _sizes(pair.front_cuts, names[: names.index(entry.front_layer) + 1])
        after = _sizes(pair.end_cuts, [name for name in behind if name != entry.end_layer])
        cut = {MAP: prod(pair.end_cuts.shape(entry.end_layer))}
        sizes = {f"front:{name}": n for name, n in before.items()} | cut | {f"end:{name}": n for name, n in after.items()}
        return cls(sizes, lambda layers: _stitched(pair, entry, layers))

    def readers(self, images: int) -> Iterator[Read]:
        """Readers of all layers, each of as many as fit into the budget for so many images."""
        part: list[str] = []
        for layer in self.sizes:
            if part and 4 * images * sum(self.sizes[name] for name in [*part, layer]) > BUDGET:
                yield self.reader(part)
                part = []
            part.append(layer)
        yield self.reader(part)


class Cosines:
    """Means over images; an image whose value is all zeros, clean or attacked, has no direction and does not count."""

    def __init__(self, shifts: Shifts):
        self._shifts, self._readers = shifts, list[Read]()
        self._sums = {layer: torch.zeros(2, dtype=torch.float64) for layer in shifts.sizes}

    @torch.no_grad()
    def add(self, x: Tensor, moved: Tensor) -> None:
        """Images (n, c, h, w) and their twins; n is never more than at first."""
        self._readers = self._readers or list(self._shifts.readers(len(x)))
        for read in self._readers:
            clean, other = read(x), read(moved)
            for layer, value in clean.items():
                self._sums[layer] += _counted(value.flatten(1).double(), other[layer].flatten(1).double()).cpu()

    def means(self) -> dict[str, float]:
        """By layer; nan where no image counted."""
        return {layer: float(total / count) if count else nan for layer, (total, count) in self._sums.items()}


def _counted(one: Tensor, other: Tensor) -> Tensor:
    """(2,): the sum of the cosines of rows (n, d), and of how many."""
    lengths = one.norm(dim=1) * other.norm(dim=1)
    there = lengths > 0
    return torch.stack([((one * other).sum(1)[there] / lengths[there]).sum(), there.sum()])


def _sizes(cuts: Cuts, names: Sequence[str]) -> dict[str, int]:
    return {name: prod(cuts.shape(name)) for name in names}


def _plain(cuts: Cuts, layers: Sequence[str]) -> Read:
    read = cuts.reader(values=layers)
    return lambda x: read(x).values


def _stitched(pair: Pair, entry: Entry, layers: Sequence[str]) -> Read:
    fronts = [name.removeprefix("front:") for name in layers if name.startswith("front:")]
    ends = [name.removeprefix("end:") for name in layers if name.startswith("end:")]
    read_front = pair.front_cuts.reader(values=list(dict.fromkeys([*fronts, entry.front_layer])))
    read_end = pair.end_cuts.reader(carried=[entry.end_layer])
    suffix = pair.suffix(entry.end_layer, ends)

    def read(x: Tensor) -> Mapping[str, Tensor]:
        front = read_front(x).values
        value = entry.stitcher(front[entry.front_layer])
        own = nullcontext() if entry.statistics is None else batchnorm.apart(suffix, [entry.statistics], "running")
        with own:
            behind = suffix.trace(value, *read_end(x).carried[entry.end_layer])[1] if ends else {}
        found = {f"front:{name}": front[name] for name in fronts} | {f"end:{name}": behind[name] for name in ends}
        return found | ({MAP: value} if MAP in layers else {})

    return read
