"""Owns reading Thrift's compact form, in which Parquet writes its footer and the headers of its pages: fields by number.

In Python, as Arrow ends the process where it is asked for a column that some damaged footers describe. What is malformed raises
ValueError or IndexError, never anything else, and nothing is allocated that the bytes themselves do not hold.
"""

from typing import Any

MAX_DEPTH = 12  # Parquet's own structures are 6 deep
TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
NUMBERS = {4, 5, 6}


def structure(data: bytes, place: int = 0, depth: int = 0) -> tuple[dict[int, Any], int]:
    """The fields of the structure that begins at `place`, by their numbers, and where it ends."""
    found: dict[int, Any] = {}
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    number = 0
    while head := data[place]:
        place += 1
        number, place = (number + (head >> 4), place) if head >> 4 else _signed(data, place)
        kind = head & 15
        found[number], place = (kind == TRUE, place) if kind in (TRUE, FALSE) else _value(data, place, kind, depth)
    return found, place + 1


def _value(data: bytes, place: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in NUMBERS:
        return _signed(data, place)
    if kind == STRUCT:
        return structure(data, place, depth + 1)
    if kind in (LIST, SET):
        return _list(data, place, depth + 1)
    if kind == BINARY:
        length, place = _unsigned(data, place)
        return _bytes(data, place, length)
    if kind in (TRUE, FALSE, BYTE):
        return data[place], place + 1
    if kind == DOUBLE:
        return _bytes(data, place, 8)
    raise ValueError(f"no such type: {kind}")


def _list(data: bytes, place: int, depth: int) -> tuple[list[Any], int]:
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    head, place, values = data[place], place + 1, []
    count, place = (head >> 4, place) if head >> 4 < 15 else _unsigned(data, place)
    for _ in range(count):  # each takes a byte at least, so a count that lies meets the end
        value, place = _value(data, place, head & 15, depth)
        values.append(value)
    return values, place


def _bytes(data: bytes, place: int, length: int) -> tuple[bytes, int]:
    if place + length > len(data):
        raise ValueError("ends too early")
    return data[place : place + length], place + length


def _signed(data: bytes, place: int) -> tuple[int, int]:
    value, place = _unsigned(data, place)
    return (value >> 1) ^ -(value & 1), place


def _unsigned(data: bytes, place: int) -> tuple[int, int]:
    byte = data[place]
    if byte < 128:
        return byte, place + 1
    value, shift = byte & 127, 7
    while shift < 70:
        place += 1
        byte = data[place]
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place + 1
        shift += 7
    raise ValueError("a number without end")
