"""Owns blocks of images and tiles of parts of them: rows made ready once per block, products and kernels once per tile.

See `accumulator` for what they promise.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from repsim.similarity import views
from repsim.similarity.accumulator import Facts, Kernel, Ready, Source
from repsim.similarity.channels import unit
from repsim.similarity.footprint import TILE
from repsim.similarity.request import Value
from repsim.similarity.symmetric import own_products

Activations = tuple[Mapping[Value, Tensor], Mapping[Value, Tensor]]


class Block:
    """Images start ≤ i < stop."""

    def __init__(self, start: int, activations: Activations, facts: Facts):
        self._values, self._facts = {"front": activations[0], "end": activations[1]}, facts
        self._ready: dict[tuple[Ready, Source], Tensor] = {}
        self._norms: dict[Source, Tensor] = {}
        self.start = start
        self.stop = start + len(next(iter((activations[0] or activations[1]).values())))

    def rows(self, source: Source) -> Tensor:
        rows = views.rows(self._values[source.side][source.value], source.view)
        return rows.to(torch.promote_types(rows.dtype, torch.float32))

    def ready(self, how: Ready, source: Source) -> Tensor:
        if (how, source) not in self._ready:
            self._ready[how, source] = READY[how](self.rows(source), source, self._facts)
        return self._ready[how, source]

    def norms(self, source: Source) -> Tensor:
        if source not in self._norms:
            rows = self.ready("shifted", source)
            self._norms[source] = torch.linalg.vecdot(rows, rows)
        return self._norms[source]

    def spread(self, source: Source) -> Tensor:
        """Σ‖x − shift‖², a scalar."""
        if ("shifted", source) in self._ready:
            return self.norms(source).sum()
        return torch.linalg.vector_norm(self.rows(source) - self._facts.shift[source]).square()

    @property
    def readable(self) -> bool:
        """Whether its activations are still there."""
        return bool(self._values)

    def prepare(self, wanted: Iterable[tuple[Kernel, Source]]) -> None:
        """Make all rows ready that a tile will ask for."""
        for kernel, source in wanted:
            self.ready(kernel.ready, source)

    def forget(self) -> None:
        """Let the activations go; what is ready stays."""
        self._values = {}

    def parts(self) -> list["Part"]:
        """It in pieces whose tiles are worked on fast: on a CPU what lies in its caches, elsewhere the whole."""
        device = next(iter(self._ready.values())).device.type
        size = TILE.get(device, self.stop - self.start)
        return [Part(self, start, min(start + size, self.stop)) for start in range(self.start, self.stop, size)]


class Part:
    """Images start ≤ i < stop of a block that is ready."""

    def __init__(self, whole: Block, start: int, stop: int):
        self.start, self.stop = start, stop
        self._whole, self._where = whole, slice(start - whole.start, stop - whole.start)

    def ready(self, how: Ready, source: Source) -> Tensor:
        found = self._whole.ready(how, source)
        return found[self._where] if found.ndim == 2 else found[:, self._where]

    def norms(self, source: Source) -> Tensor:
        return self._whole.norms(source)[self._where]


class Tile:
    """Two parts, first ≤ second."""

    def __init__(self, first: Part, second: Part, facts: Facts):
        self.first, self.second, self.facts = first, second, facts
        self.rows, self.columns = slice(first.start, first.stop), slice(second.start, second.stop)
        self.diagonal = first.start == second.start
        self._inner: dict[tuple[Ready, tuple[Source, ...]], Tensor] = {}
        self._last: dict[tuple[Source, ...], tuple[Kernel, Tensor]] = {}  # one kernel of some sources: not all at once

    def matrices(self, kernel: Kernel, sources: Sequence[Source]) -> Tensor:
        key = tuple(sources)
        if key not in self._last or self._last[key][0] != kernel:
            self._last.pop(key, None)
            self._last[key] = (kernel, kernel.of(self, sources))
        return self._last[key][1]

    def inner(self, ready: Ready, sources: Sequence[Source]) -> Tensor:
        key = (ready, tuple(sources))
        if key not in self._inner:
            self._inner[key] = self._products(ready, sources)
        return self._inner[key]

    def _products(self, ready: Ready, sources: Sequence[Source]) -> Tensor:
        like = self.first.ready(ready, sources[0])
        found = like.new_empty(len(sources), len(like), len(self.second.ready(ready, sources[0])))
        for one, source in zip(found, sources, strict=True):
            first = self.first.ready(ready, source)
            if self.diagonal:
                one.copy_(own_products(first))
            else:
                torch.mm(first, self.second.ready(ready, source).mT, out=one)
        return found


def _cosine(rows: Tensor, source: Source, facts: Facts) -> Tensor:
    return normalize(rows[:, 0], dim=1, eps=torch.finfo(rows.dtype).tiny)


def _correlation(rows: Tensor, source: Source, facts: Facts) -> Tensor:
    """A row whose numbers differ by rounding alone becomes 0."""
    flat = rows[:, 0]
    varying = flat - flat.mean(1, keepdim=True)
    rounding = facts.blur(source) * flat.norm(dim=1, keepdim=True)
    return _cosine(torch.where(varying.norm(dim=1, keepdim=True) > rounding, varying, 0.0)[:, None], source, facts)


def _centred_channels(rows: Tensor, source: Source, facts: Facts) -> Tensor:
    """(c, n, m)."""
    known = facts.channels[source]
    return unit(rows, known.mean, known.centred).permute(2, 0, 1).contiguous()


def _unit_channels(rows: Tensor, source: Source, facts: Facts) -> Tensor:
    """(c, n, m)."""
    return unit(rows, None, facts.channels[source].plain).permute(2, 0, 1).contiguous()


def _flat_channels(rows: Tensor, source: Source, facts: Facts) -> Tensor:
    known, shift = facts.channels[source], facts.shift[source]
    shifted = unit(rows, known.mean, known.centred) - unit(shift[None], known.mean, known.centred)
    return shifted.flatten(1)


READY: dict[Ready, Callable[[Tensor, Source, Facts], Tensor]] = {
    "shifted": lambda rows, source, facts: rows[:, 0] - facts.shift[source][0],
    "raw": lambda rows, source, facts: rows[:, 0],
    "cosine": _cosine,
    "correlation": _correlation,
    "centred channels": _centred_channels,
    "unit channels": _unit_channels,
    "flat channels": _flat_channels,
}
ONE_ROW: tuple[Ready, ...] = ("shifted", "raw", "cosine", "correlation")  # images that are one row each
