"""Owns image data sets stored as Parquet in the Hugging Face layout: the one place in the science half that knows Parquet.

Columns: `img` (or `image`), a struct whose field `bytes` holds a PNG or JPEG file, and the integer `label` (or `fine_label`).
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from repsim.data import division, pictures
from repsim.data.facts import Source, Split
from repsim.data.pictures import AGAIN, Block
from repsim.errors import InputError

IMAGE_COLUMNS = ("img", "image")
LABEL_COLUMNS = ("label", "fine_label")
ROWS = 1024  # read at once
MOST_CLASSES = 1_000_000  # a label above is an identity or a date, and a name for every number below it would fill the memory

Row = tuple[bytes | None, int | None, str]
"""Picture, label, and where it stands."""


def decode(source: Source, split: Split, files: Sequence[Path]) -> Iterator[Block]:
    """The images of all `files` in order, in blocks, divided by seed where so agreed; what is wrong is named by file and row."""
    rows = (row for path in files for row in _rows(path))
    if source.division is not None:
        mine = set(division.positions(source.division, split, _count(files)))
        rows = (row for k, row in enumerate(rows) if k in mine)
    yield from pictures.in_blocks(source, rows, lambda row: _decoded(source, *row))


def classes(files: Sequence[Path]) -> list[str]:
    """Names of the classes: as the files say in their Hugging Face metadata, else the labels up to the highest."""
    try:
        named = next((names for path in files if (names := _named(pq.read_schema(path)))), None)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"cannot be read as Parquet: {error}", where=str(files[0].parent), do=AGAIN) from None
    highest = max((label for path in files for _, label, _ in _rows(path, pictures=False) if label is not None), default=-1)
    if highest < 0:
        raise InputError("there are no images", where=", ".join(map(str, dict.fromkeys(files))), do=AGAIN)
    if highest >= MOST_CLASSES:
        do = "number the classes 0, 1, 2 …; a number that is no class wants another column"
        raise InputError(f"has the label {highest}, more than any set of classes", where=str(files[0].parent), do=do)
    return named if named and len(named) > highest else [str(label) for label in range(highest + 1)]


def first(files: Sequence[Path]) -> bytes | None:
    """The first picture, as a file."""
    return next((row[0] for path in files for row in _rows(path)), None)


def _count(files: Sequence[Path]) -> int:
    """The rows of all `files`."""
    return sum(1 for path in files for _ in _rows(path, pictures=False))


def _decoded(source: Source, data: bytes | None, label: int | None, where: str) -> tuple[np.ndarray, int]:
    if label is None or not 0 <= label < source.classes:
        raise InputError(f"label {label} is not among 0…{source.classes - 1}", where=where, do=AGAIN)
    return pictures.decoded(source, data, where), label


def _rows(path: Path, pictures: bool = True) -> Iterator[Row]:
    """The rows of one file, which count from 0; without `pictures` only the labels are read."""
    row = 0
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            image, label = _columns(file.schema_arrow, path)
            wanted = [f"{image}.bytes", label] if pictures else [label]
            for batch in file.iter_batches(batch_size=ROWS, columns=wanted):
                for record in batch.to_pylist():
                    yield (record.get(image) or {}).get("bytes"), record[label], f"{path}: row {row}"
                    row += 1
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"cannot be read as Parquet after {row} rows: {error}", where=str(path), do=AGAIN) from None


def _columns(schema: pa.Schema, path: Path) -> tuple[str, str]:
    """Names of the columns of images and labels; another layout is an InputError that says what is there."""
    image, label = (next((n for n in names if n in schema.names), None) for names in (IMAGE_COLUMNS, LABEL_COLUMNS))
    if image is None or label is None:
        raise _layout(f"has the columns {', '.join(schema.names)}", path)
    kind = schema.field(image).type
    if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        raise _layout(f"column '{image}' is {kind}", path)
    if not pa.types.is_integer(schema.field(label).type):
        raise _layout(f"column '{label}' is {schema.field(label).type}", path)
    return image, label


def _layout(what: str, path: Path) -> InputError:
    do = "expected: img (or image) as struct<bytes, path>, and label (or fine_label) as integers"
    return InputError(what, where=str(path), do=do)


def _named(schema: pa.Schema) -> list[str] | None:
    """The class names that the `datasets` library notes beside the columns; None where there are none."""
    try:
        features: Any = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        names = next(features[column]["names"] for column in LABEL_COLUMNS if column in features)
    except (KeyError, TypeError, ValueError, StopIteration):
        return None
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None
