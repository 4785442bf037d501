"""Owns Arrow columns as numpy arrays. Arrow's own way (`to_numpy`, `compute`) imports pandas, which takes a second."""

from typing import Any

import numpy as np


def numbers(column: Any) -> np.ndarray:
    """A column of floats; NaN where it holds nothing."""
    return np.concatenate([np.empty(0), *map(_floats, column.chunks)])


def codes(column: Any) -> tuple[np.ndarray, list[Any]]:
    """A number for each value of a column, and the values by number; nothing (null) is a value like any other, the last."""
    if not len(column):
        return np.empty(0, np.int64), [None]
    encoded = column.combine_chunks().dictionary_encode()
    indices, values = encoded.indices, encoded.dictionary.to_pylist()
    found = np.frombuffer(indices.buffers()[1] or b"", np.int32, len(indices), 4 * indices.offset)
    return np.where(_valid(indices), found, len(values)).astype(np.int64), [*values, None]


def together(*coded: tuple[np.ndarray, list[Any]]) -> tuple[np.ndarray, list[tuple[Any, ...]]]:
    """One number for each combination that occurs of several coded columns, and the combinations by number."""
    whole = np.zeros(len(coded[0][0]), np.int64)
    for found, values in coded:
        whole = whole * len(values) + found
    _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
    return inverse.reshape(-1), [tuple(values[found[index]] for found, values in coded) for index in first]


def sums(coded: np.ndarray, values: np.ndarray, count: int) -> list[float]:
    """The sum of the values of each code; NaN counts as nothing."""
    return np.bincount(coded, np.nan_to_num(values), count).tolist()


def _floats(chunk: Any) -> np.ndarray:
    if not len(chunk):
        return np.empty(0)
    found = np.frombuffer(chunk.buffers()[1] or b"", np.float64, len(chunk), 8 * chunk.offset)
    return np.where(_valid(chunk), found, np.nan)


def _valid(chunk: Any) -> np.ndarray:
    """Which values are there; Arrow keeps one bit of each, the lowest first."""
    bits = chunk.buffers()[0] if chunk.null_count else None
    if bits is None:
        return np.full(len(chunk), not chunk.null_count)
    flags = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")
    return flags[chunk.offset : chunk.offset + len(chunk)].astype(bool)
