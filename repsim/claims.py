"""Owns what the pages of a part claim to unfold into: asked of their own headers, as a footer may say less than they do.

Never of Arrow: `RowGroupMetaData.column` of version 26 ends the process on some damaged footers.
"""

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from repsim import thrift

ROW_GROUPS, COLUMNS, META = 4, 1, 3  # fields of a footer, of a row group, and of a column in it
TYPE, VALUES, COMPRESSED, DATA, DICTIONARY = 1, 5, 7, 9, 11  # of what is said of a column
BYTE_ARRAY = 6
HEADS = {0: (5, 2), 3: (8, 4), 2: (7, 2)}  # kind of page → where its own head stands, and in it the encoding
IS_DICTIONARY = 2
ENCODINGS = (
    *("PLAIN", "GROUP_VAR_INT", "PLAIN_DICTIONARY", "RLE", "BIT_PACKED", "DELTA_BINARY_PACKED", "DELTA_LENGTH_BYTE_ARRAY"),
    *("DELTA_BYTE_ARRAY", "RLE_DICTIONARY", "BYTE_STREAM_SPLIT"),
)
WINDOW, WINDOW_MOST = 1 << 10, 1 << 20  # bytes read for the header of a page, which may hold a longest and a shortest text


class Chunk(NamedTuple):
    """One column of one row group: bytes once decompressed, values, how they are encoded, and whether some stand for others."""

    text: bool
    bytes: int
    values: int
    encodings: frozenset[str]
    dictionary: bool


def chunks(path: Path, footer: bytes, leaves: Collection[int]) -> dict[int, list[Chunk]]:
    """Of each of those columns (by number, lists unrolled) what its pages say. ValueError where this cannot be made out."""
    try:
        groups = thrift.structure(footer)[0].get(ROW_GROUPS, [])
        with path.open("rb") as file:
            return {leaf: [_chunk(file.fileno(), group[COLUMNS][leaf][META]) for group in groups] for leaf in leaves}
    except (LookupError, TypeError, AttributeError, ValueError) as error:  # a field may be missing, or hold anything
        raise ValueError(f"its footer cannot be followed ({error})") from None


def _chunk(file: int, meta: dict[int, Any]) -> Chunk:
    pages = list(_pages(file, meta))
    return Chunk(
        text=meta[TYPE] == BYTE_ARRAY,
        bytes=sum(page[2] for page in pages),
        values=sum(_head(page)[1] for page in pages if page[1] != IS_DICTIONARY),
        encodings=frozenset(ENCODINGS[_head(page)[HEADS[page[1]][1]]] for page in pages),
        dictionary=any(page[1] == IS_DICTIONARY for page in pages),
    )


def _pages(file: int, meta: dict[int, Any]) -> Iterator[dict[int, Any]]:
    """The headers of the pages that Arrow would read: up to as many values as the footer says."""
    place = min(meta[DATA], meta.get(DICTIONARY) or meta[DATA])
    end, seen = place + meta[COMPRESSED], 0
    while seen < meta[VALUES] and place < end:
        page, length = _header(file, place)
        place += length + page[3]
        if page[1] in HEADS:
            yield page
            seen += _head(page)[1] if page[1] != IS_DICTIONARY else 0


def _header(file: int, place: int) -> tuple[dict[int, Any], int]:
    size = WINDOW
    while True:
        data = os.pread(file, size, max(0, place))
        try:
            page, length = thrift.structure(data)
            break
        except (ValueError, IndexError):
            if len(data) < size or size >= WINDOW_MOST:
                raise
            size *= 4
    if min(page[2], page[3], _head(page)[1] if page[1] in HEADS else 0) < 0:
        raise ValueError("a page of less than nothing")
    return page, length


def _head(page: dict[int, Any]) -> dict[int, Any]:
    return page[HEADS[page[1]][0]]
