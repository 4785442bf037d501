"""Owns image data sets stored as Parquet in the Hugging Face layout: the one place in the science half that knows Parquet.

Columns: `img` (or `image`), a struct whose field `bytes` holds a PNG or JPEG file, and the integer `label`.
"""

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from repsim.data.sources import Source, Split
from repsim.errors import InputError

IMAGE_COLUMNS = ("img", "image")
LABEL = "label"
AGAIN = "get the file again; it is damaged, or no copy of this data set"
UNDECODABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


def decode(source: Source, split: Split, files: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, c, size, size) uint8 and labels (n,) int64 of all `files` in order; what is wrong is named by file and row."""
    rows = [row for path in files for row in _rows(source, path)]
    if not rows:
        raise InputError("there are no images", where=", ".join(map(str, files)), do=AGAIN)
    images, labels = zip(*rows, strict=True)
    return np.stack(images), np.asarray(labels, dtype=np.int64)


def _rows(source: Source, path: Path) -> Iterator[tuple[np.ndarray, int]]:
    """(image, label) of each row of one file; rows count from 0."""
    row = 0
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            column = _image_column(file.schema_arrow, path)
            for batch in file.iter_batches(batch_size=1024, columns=[f"{column}.bytes", LABEL]):
                for record in batch.to_pylist():
                    where = f"{path}: row {row}"
                    yield _pixels(source, (record[column] or {}).get("bytes"), where), _label(source, record[LABEL], where)
                    row += 1
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"cannot be read as Parquet after {row} rows: {error}", where=str(path), do=AGAIN) from None


def _image_column(schema: pa.Schema, path: Path) -> str:
    """Name of the column of images; another layout is an InputError that says what is there."""
    column = next((name for name in IMAGE_COLUMNS if name in schema.names), None)
    if column is None or LABEL not in schema.names:
        raise _layout(f"has the columns {', '.join(schema.names)}", path)
    kind = schema.field(column).type
    if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        raise _layout(f"column '{column}' is {kind}", path)
    if not pa.types.is_integer(schema.field(LABEL).type):
        raise _layout(f"column '{LABEL}' is {schema.field(LABEL).type}", path)
    return column


def _layout(what: str, path: Path) -> InputError:
    return InputError(what, where=str(path), do="expected: img (or image) as struct<bytes, path>, and label as integers")


def _label(source: Source, label: int | None, where: str) -> int:
    if label is None or not 0 <= label < source.classes:
        raise InputError(f"label {label} is not among 0…{source.classes - 1}", where=where, do=AGAIN)
    return label


def _pixels(source: Source, data: bytes | None, where: str) -> np.ndarray:
    """A PNG or JPEG file as uint8 (c, size, size); the size is checked before any pixel is decoded."""
    if not data:
        raise InputError("the image is empty", where=where, do=AGAIN)
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
            if image.size != (source.size, source.size):
                raise InputError(
                    f"the image is {image.size[0]}×{image.size[1]}, not {source.size}×{source.size}", where=where, do=AGAIN
                )
            pixels = np.asarray(image.convert("RGB" if source.channels == 3 else "L"))
    except UNDECODABLE as error:
        raise InputError(f"the image cannot be decoded: {str(error)[:100]}", where=where, do=AGAIN) from None
    return np.moveaxis(pixels.reshape(source.size, source.size, source.channels), -1, 0)
