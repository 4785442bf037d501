"""Owns the decoding of one picture, a PNG or JPEG file, to the square of a data set; and of many, in blocks."""

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from repsim.data.facts import Source
from repsim.errors import InputError

Block = tuple[np.ndarray, np.ndarray]
"""Some images (k, c, size, size) uint8 and their labels, (k,) int64 or (k, attributes) uint8."""

T = TypeVar("T")
BLOCK_BYTES = 64 << 20
AGAIN = "get the file again; it is damaged, or no copy of this data set"
MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")  # of 8 bits; more would be cut off
GREY = ("1", "L", "LA", "La")
UNDECODABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


def decoded(source: Source, data: bytes | None, where: str, again: str = AGAIN) -> np.ndarray:
    """A PNG or JPEG file as uint8 (c, size, size); an exact size is checked before any pixel is decoded."""
    if not data:
        raise InputError("the image is empty", where=where, do=again)
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
            if image.mode not in MODES:
                raise InputError(
                    f"the image has pixels of kind {image.mode}, not of 8 bits", where=where, do="convert it to 8 bits"
                )
            return framed(source, image, where, again)
    except UNDECODABLE as error:
        raise InputError(f"the image cannot be decoded: {_reason(error)}", where=where, do=again) from None


def look(data: bytes | None, where: str) -> tuple[str, tuple[int, int]]:
    """Pillow's mode and (width, height) of a PNG or JPEG file, without decoding its pixels."""
    try:
        with Image.open(io.BytesIO(data or b""), formats=("PNG", "JPEG")) as image:
            return image.mode, image.size
    except UNDECODABLE as error:
        raise InputError(f"the image cannot be decoded: {_reason(error)}", where=where, do=AGAIN) from None


def from_file(source: Source, path: Path) -> np.ndarray:
    """The same of a file on disk; what is wrong is named by its path."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path), do="make it readable, or remove it") from None
    return decoded(source, data, str(path), "replace the file, or remove it")


def framed(source: Source, image: Image.Image, where: str, again: str = AGAIN) -> np.ndarray:
    """An open picture as uint8 (c, size, size), resized and cut as `source.frame` says."""
    size, frame = source.size, source.frame
    if frame.how == "exact" and image.size != (size, size):
        raise InputError(f"the image is {image.size[0]}×{image.size[1]}, not {size}×{size}", where=where, do=again)
    picture = image.convert("RGB" if source.channels == 3 else "L")
    if frame.how != "exact":
        picture = _centre(picture.resize(_resized(picture.size, source), Image.Resampling.BILINEAR), size)
    return np.moveaxis(np.asarray(picture).reshape(size, size, source.channels), -1, 0)


def _reason(error: Exception) -> str:
    """What Pillow says; where it knows no such file it would name an object in memory."""
    return "it is neither PNG nor JPEG" if isinstance(error, UnidentifiedImageError) else str(error)[:100]


def per_block(source: Source) -> int:
    """How many images make a block of about 64 MiB."""
    return max(1, BLOCK_BYTES // (source.channels * source.size**2))


def in_blocks(source: Source, items: Iterable[T], decode: Callable[[T], tuple[np.ndarray, object]]) -> Iterator[Block]:
    """`decode` each item to (image, label), on all cores, in order; Pillow leaves the interpreter free while it decodes."""
    rest, dtype = iter(items), np.uint8 if source.attributes else np.int64
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        while some := list(islice(rest, per_block(source))):
            images, labels = zip(*pool.map(decode, some), strict=True)
            yield np.stack(images), np.asarray(labels, dtype=dtype)


def _resized(size: tuple[int, int], source: Source) -> tuple[int, int]:
    """(width, height) before the centre is cut out; the longer side is rounded down, as torchvision's Resize does."""
    if source.frame.how == "square":
        return source.frame.resize, source.frame.resize
    width, height = size
    longer = int(source.frame.resize * max(size) / min(size))
    return (source.frame.resize, longer) if width <= height else (longer, source.frame.resize)


def _centre(picture: Image.Image, size: int) -> Image.Image:
    left, top = (round((side - size) / 2) for side in picture.size)
    return picture.crop((left, top, left + size, top + size))
