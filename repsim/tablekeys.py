"""Owns the keys of a table: how the columns of expected runs become labels, and in which order rows and columns stand."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # commands that only read a definition stay without pandas
    import pandas as pd

Key = tuple[str, ...]
MERGED = ("front_layer", "front_arch")
LAYERS = ("front_layer", "end_layer", "layer")
ARROW = "→"


def shown(key: str, keys: Sequence[str]) -> str:
    """The name a key is shown by: "layer" for front_layer, unless end_layer is a key of its own."""
    stem = key.removeprefix("front_")
    return stem if key in MERGED and f"end_{stem}" not in keys else key


def keys_of(expected: "pd.DataFrame", names: Sequence[str], keys: Sequence[str]) -> list[Key]:
    """The key of each expected run, as people read it."""
    return list(zip(*(_labels(expected, name, keys) for name in names), strict=True))


def ordered(found: Sequence[Key], names: Sequence[str], layers: Sequence[str]) -> tuple[Key, ...]:
    """Distinct keys, level by level: all rows of one architecture stay together.

    Labels stand in order of first appearance, those of layers in the order of `layers`, and what is none (logits) after them.
    """
    first: dict[Key, int] = {}
    for key in found:
        for depth in range(1, len(key) + 1):
            first.setdefault(key[:depth], len(first))
    place = {name: index for index, name in enumerate(layers)}

    def rank(key: Key, depth: int) -> list[int]:
        ends = key[depth - 1].split(ARROW) if names[depth - 1] in LAYERS else []
        return [*(place.get(name, len(place)) for name in ends), first[key[:depth]]]

    return tuple(sorted(set(found), key=lambda key: [rank(key, depth) for depth in range(1, len(key) + 1)]))


def _labels(expected: "pd.DataFrame", name: str, keys: Sequence[str]) -> list[str]:
    front, partner = _texts(expected, name), f"end_{shown(name, keys)}"
    if shown(name, keys) == name or partner not in expected.columns:
        return front
    return [f if f == e else f"{f}{ARROW}{e}" for f, e in zip(front, _texts(expected, partner), strict=True)]


def _texts(frame: "pd.DataFrame", name: str) -> list[str]:
    """Values as labels, "–" for none; a missing value made pandas turn rank 4 into 4.0, so that is undone."""
    present = frame[name].astype(object).where(frame[name].notna(), "–")
    return [repr(float(value)).removesuffix(".0") if isinstance(value, float) else str(value) for value in present]
