"""Owns the comparison of all fronts with all ends in one kind of dissimilarity: by value, or by order."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isnan
from typing import NamedTuple

import torch
from torch import Tensor

from repsim.errors import InputError, nearest
from repsim.similarity import bootstrap, rdm
from repsim.similarity.accumulator import Facts, Source, Tile, sources
from repsim.similarity.cells import Cells, pieces
from repsim.similarity.ranks import kendall, need_kendall
from repsim.similarity.rdm import Rdm
from repsim.similarity.request import Request, Sample
from repsim.similarity.similarity import Similarity, undefined
from repsim.similarity.vectors import Vectors

FEWEST = 3  # images: fewer have one pair, which is constant


class Table(NamedTuple):
    """A comparison of all fronts with all ends, and its null, (fronts, ends); and of bootstrap draws, (draws, fronts, ends)."""

    value: Tensor
    null: Tensor
    drawn: Tensor | None = None

    def at(self, i: int, j: int) -> Similarity:
        """Of one front and one end."""
        drawn = [] if self.drawn is None else self.drawn[:, i, j].tolist()
        low, high = bootstrap.interval([None if isnan(value) else value for value in drawn], value := float(self.value[i, j]))
        return Similarity(value, null=float(self.null[i, j]), low=low, high=high)

    def on(self, device: str) -> "Table":
        return Table(self.value.to(device), self.null.to(device), None if self.drawn is None else self.drawn.to(device))


class Grid(ABC):
    """All fronts against all ends in one kind of dissimilarity."""

    def __init__(self, kernel: Rdm, requests: Sequence[Request], sample: Sample):
        self.kernel, self.requests, self.sample = kernel, requests, sample
        self.fronts = list(dict.fromkeys(sources(request)[0] for request in requests))
        self.ends = list(dict.fromkeys(sources(request)[1] for request in requests))
        self._still = dict.fromkeys([*self.fronts, *self.ends], 0)

    def add(self, tile: Tile) -> None:
        for source in self._still if tile.diagonal else ():
            self._still[source] += rdm.still(tile, self.kernel, source)
        self.take(tile, tile.matrices(self.kernel, self.fronts), tile.matrices(self.kernel, self.ends))

    @abstractmethod
    def take(self, tile: Tile, x: Tensor, y: Tensor) -> None:
        """Add the dissimilarities of a tile, (fronts, a, b) and (ends, a, b)."""

    @abstractmethod
    def moments(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Mean and standard deviation of the dissimilarities of each front, and of each end."""

    @abstractmethod
    def tables(self) -> Mapping[str, Table]:
        """By comparison, of those that were asked."""

    def results(self, facts: Facts) -> Mapping[Request, Similarity]:
        """One for each request."""
        if self.sample.images < FEWEST:
            return dict.fromkeys(self.requests, undefined("fewer than 3 images"))
        constant = self._constant(facts)
        tables = {name: table.on("cpu") for name, table in self.tables().items()}
        return {request: self._result(request, constant, tables[comparison(request)], facts) for request in self.requests}

    def asked(self) -> set[str]:
        return {comparison(request) for request in self.requests}

    def _result(self, request: Request, constant: set[Source], table: Table, facts: Facts) -> Similarity:
        front, end = sources(request)
        details = {f"still_images_{source.side}": float(self._still[source]) for source in (front, end) if self._still[source]}
        if (why := facts.constant_status(front, end)) is not None:
            return undefined(why, **details)
        same = [source.side for source in (front, end) if source in constant]
        if same:
            return undefined(f"all images are equally far apart ({'both' if len(same) == 2 else same[0]})", **details)
        return replace(table.at(self.fronts.index(front), self.ends.index(end)), details=details)

    def _constant(self, facts: Facts) -> set[Source]:
        """The sources whose dissimilarities are all the same, up to rounding."""
        found = set()
        for side, (mean, spread) in zip((self.fronts, self.ends), self.moments(), strict=True):
            same = rdm.same(self.kernel, mean, spread, facts.blur(side[0])).tolist()
            found |= {source for source, flat in zip(side, same, strict=True) if flat}
        return found


class Values(Grid):
    """Pearson's r and the cosine of dissimilarities, from sums over pairs of images."""

    _cells: Cells | None = None

    def take(self, tile: Tile, x: Tensor, y: Tensor) -> None:
        if self._cells is None:
            others = max(1, x.shape[1] * (x.shape[2] - 1))  # the first tile is on the diagonal, which is 0
            self._cells = Cells(self.sample, *(side.sum((1, 2), dtype=torch.float64) / others for side in (x, y)))
        for piece in pieces(tile, self.sample):
            self._cells.add(piece.first, piece.second, piece.of(x), piece.of(y))

    def moments(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        assert self._cells
        return self._cells.moments()

    def tables(self) -> Mapping[str, Table]:
        assert self._cells
        made = {"pearson": _pearson, "cosine": _cosine}
        return {name: made[name](self._cells, self.sample) for name in self.asked()}


class Ranks(Grid):
    """Spearman's ρ and Kendall's τ-b of dissimilarities, which are all kept, and then replaced by their ranks.

    An interval of ρ takes the ranks among all pairs of images as they are, and draws which of them count.
    """

    def __init__(self, kernel: Rdm, requests: Sequence[Request], sample: Sample):
        super().__init__(kernel, requests, sample)
        self._pairs = sample.images * (sample.images - 1) // 2
        self._where: list[tuple[int, int, slice]] = []
        if "kendall" in self.asked():
            need_kendall(self._pairs)

    def take(self, tile: Tile, x: Tensor, y: Tensor) -> None:
        if not self._where:
            self._device = x.device
            self._vectors = Vectors(len(x) + len(y), self._pairs, x.dtype)
        for piece in pieces(tile, self.sample):
            where = self._vectors.append(torch.cat([piece.of(x), piece.of(y)]))
            self._where.append((piece.first, piece.second, where))

    def moments(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        mean, spread = self._vectors.moments(self._device)
        return tuple((mean[side], spread[side]) for side in self._sides())  # pyright: ignore[reportReturnType]

    def tables(self) -> Mapping[str, Table]:
        self._vectors.rank(self._device)
        found = {}
        if "kendall" in self.asked():
            found["kendall"] = self._kendall()
        if "spearman" in self.asked():
            found["spearman"] = _pearson(self._summed(), self.sample)
        return found

    def _sides(self) -> tuple[slice, slice]:
        return slice(0, len(self.fronts)), slice(len(self.fronts), None)

    def _summed(self) -> Cells:
        x, y = self._sides()
        middle = torch.full((len(self.fronts) + len(self.ends),), self._pairs + 1, dtype=torch.float64, device=self._device)
        cells = Cells(self.sample, middle[x], middle[y])
        for first, second, where in self._where:
            ranks = self._vectors.ranks(where)
            cells.add(first, second, ranks[x], ranks[y])
        return cells

    def _kendall(self) -> Table:
        table = torch.full((len(self.fronts), len(self.ends)), torch.nan, dtype=torch.float64)
        ranks = self._vectors.ranks(slice(0, self._pairs))
        for request in self.requests:
            front, end = sources(request)
            i, j = self.fronts.index(front), self.ends.index(end)
            if comparison(request) == "kendall":
                table[i, j] = kendall(ranks[i], ranks[len(self.fronts) + j])
        return Table(table, torch.zeros_like(table))


def comparison(request: Request) -> str:
    """The comparison that is asked; InputError if there is none of that name."""
    name = request.chosen.get("comparison", "spearman")
    if name not in GRIDS:
        raise InputError(f"there is no comparison '{name}'", where="comparison", do=nearest(str(name), GRIDS))
    return name


def _pearson(cells: Cells, sample: Sample) -> Table:
    value = cells.total().pearson()
    drawn = cells.drawn(bootstrap.weights(sample)).pearson() if sample.draws else None
    return Table(value, torch.zeros_like(value), drawn)


def _cosine(cells: Cells, sample: Sample) -> Table:
    total = cells.total().moved(cells.x, cells.y)
    drawn = cells.drawn(bootstrap.weights(sample)).moved(cells.x, cells.y).cosine() if sample.draws else None
    return Table(total.cosine(), total.cosine_null(), drawn)


GRIDS: dict[str, type[Grid]] = {"pearson": Values, "cosine": Values, "spearman": Ranks, "kendall": Ranks}
