"""Owns gathering sums of many pairs of layers while images go by: shifted, multiplied for all pairs at once, added by group."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from repsim.similarity.footprint import DRAWN_ROOM
from repsim.similarity.products import Rows, Side, Table
from repsim.similarity.ustatistic import Sums

FIRST, LAST = slice(0, 1), slice(-1, None)
Key = Hashable  # names the rows of a layer
Pair = tuple[Key, Key]  # of a layer of f and one of g


@dataclass(frozen=True)
class Cross:
    """Of a pair, by group: ΣC_i (g, p, q), and all that the unbiased estimate needs, where it was asked for."""

    products: Tensor
    sums: Sums | None


class Stream:
    """Sums of the rows (n, m, p) of layers of f and (n, m, q) of layers of g.

    Every layer is shifted by the mean of its first batch (moments do not care, rounding does). With `shifted` pairs every
    image of f also meets the image of g before its own, around the whole stream: what still agrees, agrees by chance.
    """

    def __init__(self, pairs: Mapping[Pair, bool], shifted: Mapping[Pair, bool] | None = None, groups: int = 1):
        """`pairs`, `shifted`: which, and whether also the unbiased estimate is wanted."""
        shifted = shifted or {}
        both = [*pairs.items(), *shifted.items()]
        self.fronts = {x: Layer(groups, any(wanted for (one, _), wanted in both if one == x)) for (x, _), _ in both}
        self.ends = {y: Layer(groups, any(wanted for (_, one), wanted in both if one == y)) for (_, y), _ in both}
        self._crosses, self._shifted = _Crosses(pairs, groups), _Crosses(shifted, 1)
        self._ring = _Ring(dict.fromkeys(x for x, _ in shifted), dict.fromkeys(y for _, y in shifted))

    @torch.no_grad()
    def add(self, front: Mapping[Key, Tensor], end: Mapping[Key, Tensor], group: int = 0) -> None:
        """Add the rows of the next images, all of one group."""
        x = {key: layer.add(front[key], group) for key, layer in self.fronts.items()}
        y = {key: layer.add(end[key], group) for key, layer in self.ends.items()}
        self._crosses.add(x, y, group)
        for turned in self._ring.turned(x, y):
            self._shifted.add(*turned)

    def close(self) -> None:
        """Let the first image of f meet the last one of g; there are no more images."""
        self._shifted.add(*self._ring.closing())

    def draws_at_once(self) -> int:
        """How many draws of a bootstrap may be held at once: as many as make a matrix of some size of each pair."""
        widths = [max(len(layer.shift) for layer in side.values()) for side in (self.fronts, self.ends)]
        return max(1, DRAWN_ROOM // max(widths) ** 2)

    def cross(self, x: Key, y: Key) -> Cross:
        """The sums of a pair, by group."""
        return self._crosses.of((x, y), self.fronts[x].side, self.ends[y].side)

    def shifted(self, x: Key, y: Key) -> Cross:
        """The sums of a shifted pair of a stream that is closed; all in one group."""
        return self._shifted.of((x, y), self.fronts[x].side.whole(), self.ends[y].side.whole())


class Layer:
    """The sums of one layer by itself."""

    shift: Tensor
    side: Side
    positions: int = 0

    def __init__(self, groups: int, unbiased: bool):
        self._groups, self._unbiased = groups, unbiased
        self._table = Table(groups, unbiased)

    def add(self, rows: Tensor, group: int) -> Rows:
        """Add the rows (n, m, p) of images of one group; returns them shifted."""
        if not self.positions:
            self.shift, self.positions = rows.mean((0, 1)), rows.shape[1]
            self.side = Side(self._groups, self.shift)
        shifted = Rows((rows - self.shift).contiguous())
        self.side.add(group, shifted)
        self._table.add(group, [shifted], [shifted])
        return shifted

    def cross(self) -> Cross:
        """Its sums with itself."""
        sums = self._table.sums(0, 0, self.side, self.side) if self._unbiased else None
        return Cross(self._table.products(0, 0), sums)


class _Crosses:
    """The tables of some pairs: fronts that meet the same ends share one."""

    def __init__(self, pairs: Mapping[Pair, bool], groups: int):
        self._tables = [(fronts, ends, Table(groups, unbiased)) for fronts, ends, unbiased in _blocks(pairs)]
        self._unbiased = dict(pairs)
        self._where = {(x, y): (table, i, j) for xs, ys, table in self._tables for i, x in enumerate(xs) for j, y in enumerate(ys)}

    def add(self, x: Mapping[Key, Rows], y: Mapping[Key, Rows], group: int = 0) -> None:
        for fronts, ends, table in self._tables:
            table.add(group, [x[key] for key in fronts], [y[key] for key in ends])

    def of(self, pair: Pair, x: Side, y: Side) -> Cross:
        table, i, j = self._where[pair]
        return Cross(table.products(i, j), table.sums(i, j, x, y) if self._unbiased[pair] else None)


class _Ring:
    """Moves the images of g one place further, over the borders of batches."""

    def __init__(self, fronts: Iterable[Key], ends: Iterable[Key]):
        self._fronts, self._ends = list(fronts), list(ends)
        self._first: dict[Key, Rows] = {}
        self._last: dict[Key, Rows] = {}

    def turned(self, x: Mapping[Key, Rows], y: Mapping[Key, Rows]) -> Iterator[tuple[dict[Key, Rows], dict[Key, Rows]]]:
        """The images of f in this batch, each beside the one of g before it; the very first waits for the end."""
        front, end = {key: x[key] for key in self._fronts}, {key: y[key] for key in self._ends}
        if self._last:
            yield _part(front, FIRST), self._last
        else:
            self._first = _kept(front, FIRST)
        yield _part(front, slice(1, None)), _part(end, slice(None, -1))
        self._last = _kept(end, LAST)

    def closing(self) -> tuple[dict[Key, Rows], dict[Key, Rows]]:
        """The first image of f and the last one of g."""
        return self._first, self._last


def _part(side: Mapping[Key, Rows], images: slice) -> dict[Key, Rows]:
    return {key: rows.part(images) for key, rows in side.items()}


def _kept(side: Mapping[Key, Rows], images: slice) -> dict[Key, Rows]:
    """Copies, so that the batch need not stay."""
    return {key: Rows(rows.values[images].clone()) for key, rows in side.items()}


def _blocks(pairs: Mapping[Pair, bool]) -> list[tuple[list[Key], tuple[Key, ...], bool]]:
    """(fronts, ends, unbiased) whose products are exactly the pairs, each once: one block for a full grid."""
    ends: dict[tuple[Key, bool], list[Key]] = defaultdict(list)
    for (x, y), unbiased in pairs.items():
        ends[x, unbiased].append(y)
    fronts: dict[tuple[tuple[Key, ...], bool], list[Key]] = defaultdict(list)
    for (x, unbiased), met in ends.items():
        fronts[tuple(met), unbiased].append(x)
    return [(xs, met, unbiased) for (met, unbiased), xs in fronts.items()]
