"""Owns what is asked of a comparison: one measure of one layer of f and one of g, with all that its number depends on."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


class Value(NamedTuple):
    """An activation as the passes see it: of a layer, replaced by its best approximation of some rank (None: as it is)."""

    layer: str
    rank: int | None = None


@dataclass(frozen=True)
class Request:
    """One number.

    Attributes:
        measure: a key of `known.KNOWN`.
        front, end: what of f and of g is compared.
        view: a view, never None (`known` says what a measure takes where a user says nothing).
        align: how the grids become equal where they must be and are not: "pool", "bilinear", "nearest", None.
        options: (name, value) of the options the measure reads, sorted; nothing else.
    """

    measure: str
    front: Value
    end: Value
    view: str
    align: str | None = None
    options: tuple[tuple[str, Hashable], ...] = ()

    @property
    def chosen(self) -> Mapping[str, Any]:
        """Its options by name."""
        return dict(self.options)


@dataclass(frozen=True)
class Sample:
    """The images of a comparison, in the order in which they come: a fixed random one.

    Attributes:
        images: n.
        groups: the stream in so many equal runs, image i in group i·groups // images; the bootstrap draws groups (1: none).
        draws: of the bootstrap; 0: no interval.
        seed: of the draws.
    """

    images: int
    groups: int = 1
    draws: int = 0
    seed: int = 0

    def group(self, index: int) -> int:
        """The group of the image at `index` of the stream."""
        return index * self.groups // self.images
