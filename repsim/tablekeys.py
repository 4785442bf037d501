"""Owns the keys of a table: how the columns of expected runs become labels, and in which order rows and columns stand."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:  # commands that only read a definition stay without pandas
    import pandas as pd

Key = tuple[str, ...]
MERGED = ("front_layer", "front_arch")
LAYERS = ("front_layer", "end_layer", "layer")
ARROW = "→"
UNSET = "–"


class Labels(NamedTuple):
    """What each run is called, as a number, (runs,), and the name of each number, in order of first appearance."""

    codes: np.ndarray
    names: list[str]


class Keys(NamedTuple):
    """The key of each run, as a number, (runs,), and the key of each number, in order of first appearance."""

    codes: np.ndarray
    keys: list[Key]


def shown(key: str, keys: Sequence[str]) -> str:
    """The name a key is shown by: "layer" for front_layer, unless end_layer is a key of its own."""
    stem = key.removeprefix("front_")
    return stem if key in MERGED and f"end_{stem}" not in keys else key


def keys_of(expected: "pd.DataFrame", names: Sequence[str], keys: Sequence[str]) -> Keys:
    """The key of each expected run, as people read it; one empty key where there are no names."""
    if not names:
        return Keys(np.zeros(len(expected), np.int64), [()])
    columns = [_labels(expected, name, keys) for name in names]
    codes, parts = together([column.codes for column in columns])
    labels: list[list[str]] = [[column.names[code] for code in part] for column, part in zip(columns, parts, strict=True)]
    return Keys(codes, list(zip(*labels, strict=True)))


def together(columns: Sequence[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """One number for each combination that occurs, in order of first appearance; and the codes of each column by number."""
    whole = np.zeros(len(columns[0]), np.int64)
    for codes in columns:
        whole = whole * (int(codes.max(initial=0)) + 1) + codes
    _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return place[inverse.reshape(-1)], [codes[first[order]] for codes in columns]


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


def texts(frame: "pd.DataFrame", name: str) -> Labels:
    """Values as labels, "–" for none; a missing value made pandas turn rank 4 into 4.0, so that is undone."""
    import pandas as pd

    codes, values = pd.factorize(frame[name], use_na_sentinel=True)
    named = [repr(float(value)).removesuffix(".0") if isinstance(value, float) else str(value) for value in values]
    return _named(np.where(codes < 0, len(named), codes), [*named, UNSET])


def _labels(expected: "pd.DataFrame", name: str, keys: Sequence[str]) -> Labels:
    front, partner = texts(expected, name), f"end_{shown(name, keys)}"
    if shown(name, keys) == name or partner not in expected.columns:
        return front
    end = texts(expected, partner)
    codes, (fronts, ends) = together([front.codes, end.codes])
    both = [(front.names[f], end.names[e]) for f, e in zip(fronts, ends, strict=True)]
    return _named(codes, [f if f == e else f"{f}{ARROW}{e}" for f, e in both])


def _named(codes: np.ndarray, names: list[str]) -> Labels:
    """Without names that no run has, and with those that are alike as one; in order of first appearance."""
    number = {name: place for place, name in reversed(list(enumerate(names)))}
    merged = np.array([number[name] for name in names])[codes] if len(codes) else codes
    found, (used,) = together([merged])
    return Labels(found, [names[code] for code in used])
