"""Owns the decoded copy of a data set on disk: arrays that are read in a blink, or not trusted at all.

STEM.images.npy and STEM.labels.npy hold the arrays; STEM.json, written last, their shape and a CRC-32 of each block: the copy is
ours, so the sums guard against damage, not malice. STEM names the source (see `fingerprint`). Blocks go to the disk as they are
decoded, each file under a dot-name first, so that no set need fit into memory and a half-written copy counts as none.
"""

import fcntl
import hashlib
import io
import json
import os
import uuid
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO

import numpy as np

from repsim.data.facts import Found, Source, Split
from repsim.data.pictures import Block
from repsim.errors import InputError

FORMAT = 2  # raise it when a decoder gives other arrays for the same files
MAPPED_ABOVE = 2 << 30  # bytes: a larger set is mapped from its file, a smaller one read whole
Parts = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Arrays:
    """Images (n, c, h, w) uint8, labels (n,) int64 or (n, attributes) uint8, and whether the images are mapped from their file."""

    images: np.ndarray
    labels: np.ndarray
    mapped: bool


def fingerprint(source: Source, found: Found, split: Split) -> str:
    """12 hex digits of what the arrays depend on: frame and division, and name, size and time of each file or folder.

    Of a folder of classes only the folders themselves are looked at: pictures added, removed or renamed are noticed, one that is
    overwritten in place is not.
    """
    files = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in found.paths.get(split, ())]
    library = version("scikit-learn") if found.kind == "bundled" else ""
    facts = [source.channels, source.size, str(source.frame), str(source.division), source.class_names]
    return hashlib.sha256(json.dumps([FORMAT, found.kind, library, files, facts]).encode()).hexdigest()[:12]


def read(stem: Path) -> Arrays | None:
    """The arrays, or None where there is no sound copy.

    A small set is read whole and its sums are compared; a large one is mapped, and only its length compared (see `check`).
    """
    try:
        facts = json.loads(_beside(stem, ".json").read_bytes())
        labels = _whole(_beside(stem, ".labels.npy"), facts["labels"])
        path, parts = _beside(stem, ".images.npy"), facts["images"]
        mapped = path.stat().st_size > MAPPED_ABOVE
        images = _mapped(path, parts) if mapped else _whole(path, parts)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Arrays(images, labels, mapped) if len(images) == len(labels) else None


def write(stem: Path, blocks: Iterable[Block]) -> None:
    """Store the blocks one after the other. InputError: the disk says no. What a decoder raises leaves nothing behind."""
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        with _scratch(stem, ".images.npy") as images, _scratch(stem, ".labels.npy") as labels, _scratch(stem, ".json") as facts:
            pairs = [(images.append(pixels), labels.append(names)) for pixels, names in _guarded(blocks)]
            parts = {"images": [pair[0] for pair in pairs], "labels": [pair[1] for pair in pairs]}
            facts.file.write(json.dumps(parts).encode())
    except OSError as error:
        do = "make the folder writable, or free some space"
        raise InputError(f"the decoded data set cannot be stored: {error.strerror}", where=str(stem.parent), do=do) from None


def begun(stem: Path) -> bool:
    """Whether there is a copy, sound or not."""
    return _beside(stem, ".json").exists()


def check(stem: Path) -> bool:
    """Whether the sums of a copy are right, whatever its size; a damaged one is removed, so that it is decoded again."""
    try:
        facts = json.loads(_beside(stem, ".json").read_bytes())
        for array in ("images", "labels"):
            _compare(_mapped(_beside(stem, f".{array}.npy"), facts[array]), facts[array])
    except (OSError, ValueError, KeyError, TypeError):
        _beside(stem, ".json").unlink(missing_ok=True)
        return False
    return True


@contextmanager
def alone(stem: Path) -> Iterator[None]:
    """One process at a time decodes a set; the others wait, and find it decoded. The lock goes with its holder."""
    path = stem.with_name(f".{stem.name}.lock")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        file = path.open("wb")
    except OSError:  # `write` says what is wrong with the folder
        yield
        return
    with file:
        with suppress(OSError):  # a file system without locks: then each decodes for itself, into files of its own
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


class _Scratch:
    """An .npy file under way: blocks are appended, its header comes last."""

    def __init__(self, file: IO[bytes]):
        self.file, self.rows, self.first = file, 0, np.empty(0)

    def append(self, block: np.ndarray) -> tuple[int, int]:
        """(rows, CRC-32) of the block."""
        block = np.ascontiguousarray(block)
        if not self.rows:
            self.first = block[:0]
            self.file.write(_header(self.first, 0))
        self.file.write(block.data)
        self.rows += len(block)
        return len(block), zlib.crc32(block.data)

    def finish(self) -> None:
        if self.rows:
            self.file.seek(0)
            self.file.write(_header(self.first, self.rows))
        self.file.flush()
        os.fsync(self.file.fileno())


@contextmanager
def _scratch(stem: Path, suffix: str) -> Iterator[_Scratch]:
    """Write to a dot-name, fsync, replace: a reader sees the old file or the whole new one; after an error, neither remains."""
    path = _beside(stem, suffix)
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with scratch.open("wb") as file:
            under_way = _Scratch(file)
            yield under_way
            under_way.finish()
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def _guarded(blocks: Iterable[Block]) -> Iterator[Block]:
    """An OSError of a decoder is no error of the disk that is written to."""
    try:
        yield from blocks
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(error.filename), do="make it readable") from None


def _header(like: np.ndarray, rows: int) -> bytes:
    """Of an .npy file; numpy leaves room for the number of rows to grow, so that all have the same length."""
    buffer = io.BytesIO()
    facts = np.lib.format.header_data_from_array_1_0(like)
    np.lib.format.write_array_header_1_0(buffer, {**facts, "fortran_order": False, "shape": (rows, *like.shape[1:])})
    return buffer.getvalue()


def _mapped(path: Path, parts: Parts) -> np.ndarray:
    """An .npy file as it lies on disk; ValueError where its length is not that of its blocks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    if len(array) != sum(rows for rows, _ in parts) or path.stat().st_size != array.offset + array.nbytes:
        raise ValueError("another length")
    return array


def _whole(path: Path, parts: Parts) -> np.ndarray:
    """The same in memory; ValueError where a sum is not right."""
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        if dtype.hasobject or shape[0] != sum(rows for rows, _ in parts):
            raise ValueError("another content")
        array = np.empty(shape, dtype)
        if file.readinto(array.data) != array.nbytes or file.read(1):  # pyright: ignore[reportAttributeAccessIssue]
            raise ValueError("another length")
    _compare(array, parts)
    return array


def _compare(array: np.ndarray, parts: Parts) -> None:
    start = 0
    for rows, expected in parts:
        if zlib.crc32(array[start : start + rows].data) != expected:
            raise ValueError("another sum")
        start += rows


def _beside(stem: Path, suffix: str) -> Path:
    return stem.with_name(stem.name + suffix)
