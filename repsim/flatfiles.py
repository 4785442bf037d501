"""Owns tables as plain files: CSV, JSON lines, Markdown and Parquet.

In CSV and Markdown a list is its JSON, and nothing is an empty cell; a number that is none (nan) is `nan` in CSV and null in JSON,
which knows no such number.
"""

import io
import json
import uuid
from collections.abc import Iterator
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repsim import store
from repsim.errors import unwritten

if TYPE_CHECKING:
    import pyarrow as pa


FORMATS = ("csv", "jsonl", "markdown", "parquet")
ROWS = 10_000  # made into Python values at once
DIGITS = 6  # of a number that people read


def rendered(table: "pa.Table", format: str) -> Iterator[bytes]:
    """The table as csv, jsonl or markdown, piece by piece, so that a large one is never text as a whole."""
    first = True
    for start in range(0, max(len(table), 1), ROWS):
        yield WRITERS[format](table.slice(start, ROWS), first)
        first = False


def write(table: "pa.Table", path: Path, format: str) -> None:
    """The table in one of FORMATS at `path`, replaced as a whole."""
    if format == "parquet":
        store.write_table(table, path)
        return
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.writelines(rendered(table, format))
        temporary.replace(path)
    except OSError as error:
        raise unwritten(error, path, do="choose another --out") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def plain_rows(table: "pa.Table") -> Iterator[dict[str, Any]]:
    """The rows as JSON can say them."""
    for start in range(0, len(table), ROWS):
        yield from map(_plain, table.slice(start, ROWS).to_pylist())


def _csv(table: "pa.Table", first: bool) -> bytes:
    from pyarrow import csv

    out = io.BytesIO()
    csv.write_csv(_without_lists(table), out, csv.WriteOptions(include_header=first))
    return out.getvalue()


def _lines(table: "pa.Table", first: bool) -> bytes:
    lines = (json.dumps(row, ensure_ascii=False, allow_nan=False) for row in plain_rows(table))
    return "".join(f"{line}\n" for line in lines).encode()


def _markdown(table: "pa.Table", first: bool) -> bytes:
    head = ["| " + " | ".join(map(_escaped, table.column_names)) + " |", "| " + " | ".join(map(_rule, table.schema)) + " |"]
    rows = ["| " + " | ".join(_escaped(_shown(value)) for value in row.values()) + " |" for row in table.to_pylist()]
    return "".join(f"{line}\n" for line in [*(head if first else ()), *rows]).encode()


def _without_lists(table: "pa.Table") -> "pa.Table":
    """Lists as their JSON."""
    import pyarrow as pa

    for place, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            said = [None if one is None else json.dumps(_plain(one)) for one in table[place].to_pylist()]
            table = table.set_column(place, field.name, pa.array(said, pa.string()))
    return table


def _plain(value: Any) -> Any:
    """The value as JSON can say it."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return json.dumps(_plain(value))
    return f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def _rule(field: "pa.Field") -> str:
    return "---:" if str(field.type) in ("int64", "double") else "---"


WRITERS = {"csv": _csv, "jsonl": _lines, "markdown": _markdown}
