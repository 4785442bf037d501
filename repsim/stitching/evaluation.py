"""Owns the measuring of stitched networks: many entries on one reading of each batch."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import torch
from torch import Tensor

from repsim.stitching import batchnorm, packing, scores
from repsim.stitching.batchnorm import Statistics
from repsim.stitching.pair import Batch, Needs, Pair, Reading
from repsim.stitching.scores import Score
from repsim.stitching.stitchers import Stitcher

Visit = Callable[[Reading, Tensor], None]  # a reading and its labels, before they are scored


@dataclass(frozen=True, eq=False)
class Entry:
    """A stitcher to be measured; `statistics` stand in for those of the batch norms behind the cut."""

    front_layer: str
    end_layer: str
    stitcher: Stitcher
    statistics: Statistics | None = None
    also: tuple[str, ...] = ()
    needs_suffix: bool = True

    def rounded(self) -> "Entry":
        """The entry that is evaluated; itself where rounding changes nothing."""
        stitcher = self.stitcher.rounded()
        return self if stitcher is self.stitcher else replace(self, stitcher=stitcher)


def needs(entries: Iterable[Entry], logits: bool = False) -> Needs:
    """What must be read to score these entries, and with `logits` to compare them with f and g."""
    entries = list(entries)
    front, carried = (tuple(dict.fromkeys(getattr(entry, side) for entry in entries)) for side in ("front_layer", "end_layer"))
    return Needs(front, carried, (), logits, logits)


@torch.no_grad()
def evaluate(
    pair: Pair,
    entries: Sequence[Entry],
    readings: Iterable[tuple[Reading, Tensor]],
    budget: int = 128 * packing.MIB,
    visit: Visit = lambda reading, labels: None,
) -> list[Score]:
    """The score of every entry, all on one reading of each batch; sums in fp64.

    `readings` are (reading, labels (n,)); where they hold g's logits, the entries are compared with g. `visit` sees
    each of them, whether there are entries or not.
    """
    parts: list[list[Entry]] | None = None
    totals: list[Tensor] = []
    for reading, labels in readings:
        visit(reading, labels)
        if parts is None:
            parts = packing.chunks(pair, entries, reading, budget)
        if parts:
            sums = torch.cat(packing.each(parts, _scorer(pair, reading, labels), pair.device))
            totals = [sums if not totals else totals[0] + sums]
    order = chain.from_iterable(parts or [])
    rows = totals[0].cpu() if totals else []
    found = {id(entry): scores.score(row, pair.end.facts.classes) for entry, row in zip(order, rows, strict=True)}
    return [found[id(entry)] for entry in entries]


@torch.no_grad()
def reestimated(pair: Pair, entries: Sequence[Entry], batches: Iterable[Batch], budget: int = 128 * packing.MIB) -> list[Entry]:
    """The same entries with statistics averaged over `batches` as the stitched activations leave them.

    One pass without gradients before an evaluation (Godfrey et al. 2022), each batch weighted by its images.
    """
    fresh = [replace(entry, statistics=batchnorm.own(pair.suffix(entry.end_layer))) for entry in entries]
    read = pair.reader(needs(fresh))
    parts: list[list[Entry]] = []
    seen = 0
    for x, _ in batches:
        reading = read(x)
        parts = parts or packing.chunks(pair, fresh, reading, budget)
        seen += len(x)
        packing.each(parts, _averager(pair, reading, len(x) / seen), pair.device)
    return fresh


def _averager(pair: Pair, reading: Reading, share: float) -> Callable[[list[Entry]], Tensor]:
    return lambda part: packing.forward(pair, part, reading, "batch", share).stitched


def _scorer(pair: Pair, reading: Reading, labels: Tensor) -> Callable[[list[Entry]], Tensor]:
    def score(part: list[Entry]) -> Tensor:
        logits = packing.forward(pair, part, reading).logits
        assert logits is not None
        own = None if reading.end_logits is None else reading.end_logits.float()
        return scores.sums(logits, labels, own)

    return score
