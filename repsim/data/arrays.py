"""Owns data sets that come as arrays of pixels: idx files (MNIST), MATLAB files (SVHN), .npz (CIFAR-5m) and .npy (300K images)."""

import gzip
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from repsim.data import pictures
from repsim.data.facts import Source, Split
from repsim.data.pictures import AGAIN, Block, per_block
from repsim.errors import InputError

IMAGES_MAGIC, LABELS_MAGIC = 2051, 2049
UNREADABLE = (OSError, EOFError, ValueError, struct.error, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError)
OF_MAT = (
    TypeError,
    IndexError,
    AttributeError,
    MemoryError,
    OverflowError,
)  # what a damaged MATLAB file makes scipy raise, besides


def idx(source: Source, split: Split, files: Sequence[Path]) -> Iterator[Block]:
    """Files of LeCun's idx format, plain or as .gz: a magic number and the lengths, big-endian, then bytes."""
    images, labels = _idx(files[0], IMAGES_MAGIC, 3), _idx(files[1], LABELS_MAGIC, 1)
    _check_pair(source, images[:, None, :, :], labels, (1, 28, 28), files[0])
    if source.frame.how == "exact":
        yield images[:, None], labels.astype(np.int64)
    else:
        rows = zip(images, labels, strict=True)
        yield from pictures.in_blocks(source, rows, lambda row: (_framed(source, row[0], files[0]), row[1]))


def mat(source: Source, split: Split, files: Sequence[Path]) -> Iterator[Block]:
    """SVHN's MATLAB files: X (32, 32, 3, n) uint8 and y (n, 1) in 1…10, where 10 is the digit 0."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    with _named(files[0], MatReadError, *OF_MAT):
        content = loadmat(files[0], variable_names=("X", "y"))
    images, labels = (np.asarray(content.get(name, np.empty(0))) for name in ("X", "y"))
    if images.ndim != 4 or not np.issubdtype(labels.dtype, np.number):
        raise _wrong(f"X is {images.dtype} {images.shape}, y is {labels.dtype} {labels.shape}", files[0])
    labels = labels.reshape(-1).astype(np.int64)
    labels[labels == 10] = 0
    images = np.ascontiguousarray(images.transpose(3, 2, 0, 1))
    _check_pair(source, images, labels, (source.channels, source.size, source.size), files[0])
    yield images, labels


def cifar5m(source: Source, split: Split, files: Sequence[Path]) -> Iterator[Block]:
    """CIFAR-5m's parts: X (n, 32, 32, 3) uint8 and Y (n,), read block by block, never whole."""
    for path in files:
        with _named(path), zipfile.ZipFile(path) as archive, archive.open("Y.npy") as file:
            labels = np.lib.format.read_array(file, allow_pickle=False)
        done = 0
        for block in _pixels(source, path):
            mine = labels[done : done + len(block)].reshape(-1)
            _check_pair(source, block, mine, block.shape[1:], path)
            yield block, mine.astype(np.int64)
            done += len(block)
        if done != len(labels):
            raise _wrong(f"{done} images and {len(labels)} labels", path)


def images300k(source: Source, split: Split, files: Sequence[Path]) -> Iterator[Block]:
    """300K_random_images.npy: (n, 32, 32, 3) uint8 without labels; 0 stands for each."""
    if not files:
        raise InputError(f"'{source.name}' has no images for testing", where="split", do="load its training split")
    with _named(files[0]):
        pixels = np.load(files[0], mmap_mode="r", allow_pickle=False)
    if not isinstance(pixels, np.ndarray):
        raise _wrong("an archive of arrays", files[0])
    _check_pixels(source, pixels.shape, pixels.dtype, files[0])
    for start in range(0, len(pixels), per_block(source)):
        block = np.moveaxis(pixels[start : start + per_block(source)], -1, 1)
        yield np.ascontiguousarray(block), np.zeros(len(block), dtype=np.int64)


def _idx(path: Path, magic: int, lengths: int) -> np.ndarray:
    with _named(path):
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        found, *shape = struct.unpack(f">{1 + lengths}i", data[: 4 * (1 + lengths)])
    rest = np.frombuffer(data, dtype=np.uint8, offset=4 * (1 + lengths))
    if found != magic:
        raise _wrong(f"it begins with {found}, not with {magic}", path)
    if min(shape) < 0 or rest.size != np.prod(shape, dtype=np.int64):
        raise _wrong(f"it holds {rest.size} bytes for the shape {tuple(shape)}", path)
    return rest.reshape(shape)


def _pixels(source: Source, path: Path) -> Iterator[np.ndarray]:
    """Member X of an .npz in blocks (k, c, h, w). The zip's own checksum is compared at its end."""
    with _named(path), zipfile.ZipFile(path) as archive, archive.open("X.npy") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
        _check_pixels(source, shape, dtype, path)
        if fortran:
            raise _wrong("X is stored column by column", path)
        image = int(np.prod(shape[1:]))
        for start in range(0, shape[0], per_block(source)):
            count = min(per_block(source), shape[0] - start)
            data = _exactly(file, count * image)
            yield np.ascontiguousarray(np.moveaxis(np.frombuffer(data, np.uint8).reshape(count, *shape[1:]), -1, 1))
        file.read(1)  # the end: the checksum is compared here


def _exactly(file: IO[bytes], count: int) -> bytes:
    data = file.read(count)
    if len(data) != count:
        raise EOFError("the file ends too early")
    return data


def _framed(source: Source, pixels: np.ndarray, path: Path) -> np.ndarray:
    return pictures.framed(source, Image.fromarray(pixels), str(path))


def _check_pixels(source: Source, shape: tuple[int, ...], dtype: np.dtype, path: Path) -> None:
    wanted = (source.size, source.size, source.channels)
    if len(shape) != 4 or tuple(shape[1:]) != wanted or dtype != np.uint8 or not shape[0]:
        raise _wrong(f"the images are {dtype} {tuple(shape)}, not uint8 (n, {', '.join(map(str, wanted))})", path)


def _check_pair(source: Source, images: np.ndarray, labels: np.ndarray, shape: tuple[int, ...], path: Path) -> None:
    """As many labels as images, of the right shape, all of them classes."""
    if images.dtype != np.uint8 or images.shape[1:] != tuple(shape) or not len(images):
        raise _wrong(f"the images are {images.dtype} {images.shape}, not uint8 (n, {', '.join(map(str, shape))})", path)
    if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
        raise _wrong(f"{len(images)} images and labels {labels.dtype} {labels.shape}", path)
    strange = np.flatnonzero((labels < 0) | (labels >= source.classes))
    if strange.size:
        raise _wrong(f"label {labels[strange[0]]} of image {strange[0]} is not among 0…{source.classes - 1}", path)


def _wrong(what: str, path: Path) -> InputError:
    return InputError(what, where=str(path), do=AGAIN)


@contextmanager
def _named(path: Path, *also: type[Exception]) -> Iterator[None]:
    """What goes wrong in reading is an InputError that names the file."""
    try:
        yield
    except KeyError as error:
        raise _wrong(f"it lacks an array: {error.args[0]}", path) from None
    except (*UNREADABLE, *also) as error:
        raise _wrong(f"cannot be read: {str(error)[:150]}", path) from None
