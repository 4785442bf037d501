"""Owns what a matrix of similarity is: front layer × end layer, in each cell the numbers of all pairs of networks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import nan
from statistics import fmean, stdev
from typing import NamedTuple

OK = "ok"
NULL_KINDS = ("closed form", "shifted")  # the exacter first
Pair = tuple[str, str]
"""What is compared: network and epoch of f and of g, as in ("4c2a@10", "4c2a")."""
Place = tuple[str, str]
"""Front layer and end layer."""


class Number(NamedTuple):
    """What one comparison gave: `repsim.similarity.Similarity` as it is stored."""

    value: float | None
    status: str = OK
    null: float | None = None
    low: float | None = None
    high: float | None = None
    null_kind: str | None = None


@dataclass(frozen=True)
class Cell:
    """The pairs of networks at one front layer and one end layer: what is computed, and how many are expected."""

    numbers: Mapping[Pair, Number]
    expected: int

    @property
    def values(self) -> list[float]:
        """One per pair where the measure is defined."""
        return [number.value for number in self.numbers.values() if number.value is not None]

    @property
    def mean(self) -> float:
        """Over pairs; nan where no pair has a value."""
        return fmean(self.values) if self.values else nan

    @property
    def std(self) -> float:
        """Over pairs; nan for fewer than two."""
        return stdev(self.values) if len(self.values) > 1 else nan

    @property
    def null(self) -> float:
        """Mean of the nulls; nan where there is none."""
        nulls = [number.null for number in self.numbers.values() if number.null is not None]
        return fmean(nulls) if nulls else nan

    @property
    def null_kind(self) -> str | None:
        """Of the nulls: `repsim.similarity.Similarity.null_kind`; shifted where one of them is, None where none is said."""
        kinds = {number.null_kind for number in self.numbers.values()} - {None}
        return max(kinds, key=NULL_KINDS.index, default=None)

    @property
    def missing(self) -> int:
        """Pairs that are expected and not computed."""
        return self.expected - len(self.numbers)

    @property
    def troubles(self) -> dict[str, int]:
        """Each status that is not ok, and of how many pairs."""
        found = [number.status for number in self.numbers.values() if number.status != OK]
        return {status: found.count(status) for status in dict.fromkeys(found)}


@dataclass(frozen=True)
class Matrix:
    """One measure, asked in one way, of all pairs of networks of two architectures.

    Attributes:
        measure: its name.
        variant: what else tells it from the other matrices: "bandwidth 0.4, front rank 2"; may be empty.
        front, end: the networks: architectures, or arch:seed where it is one.
        front_layers, end_layers: in the order of the networks.
        pairs: all that are expected.
        cells: where a comparison is expected.
        scale: "similarity" (more is nearer), "distance", or "" where nothing is stored.
        images: numbers of images used, distinct.
        conventions: what the numbers depend on, distinct, as stored.
    """

    measure: str
    variant: str
    front: str
    end: str
    front_layers: tuple[str, ...]
    end_layers: tuple[str, ...]
    pairs: tuple[Pair, ...]
    cells: Mapping[Place, Cell] = field(repr=False)
    scale: str = ""
    images: tuple[int, ...] = ()
    conventions: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The measure, with its variant."""
        return ", ".join(filter(None, (self.measure, self.variant)))

    @property
    def title(self) -> str:
        """The same, and of what networks."""
        return f"{self.name}: {self.front} × {self.end}"

    @property
    def nearer_is_more(self) -> bool:
        return self.scale != "distance"

    @cached_property
    def means(self) -> list[float]:
        """Every mean that is there."""
        return [cell.mean for cell in self.cells.values() if cell.values]

    @cached_property
    def troubles(self) -> dict[str, list[Place]]:
        """The places of each status that is not ok."""
        found: dict[str, list[Place]] = {}
        for place, cell in self.cells.items():
            for status in cell.troubles:
                found.setdefault(status, []).append(place)
        return found

    @property
    def missing(self) -> int:
        """Numbers that are expected and not computed."""
        return sum(cell.missing for cell in self.cells.values())
