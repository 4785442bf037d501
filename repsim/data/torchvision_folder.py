"""Owns torchvision's copy of CIFAR-10: reading its folder, and downloading it.

The folder holds pickles, and a pickle can run code: torchvision's reader compares the MD5 of every file with the
published one before it opens any of them, and so does whatever is read here.
"""

import shutil
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np

from repsim.data.sources import TORCHVISION_FOLDER, Source, Split
from repsim.errors import InputError

CONNECT_S = 8.0
SILENCE_S = 15.0


def decode(source: Source, split: Split, files: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 3, 32, 32) uint8 and labels (n,) int64; a file that is not the published one is an InputError, never opened."""
    from torchvision.datasets import CIFAR10  # takes seconds to import, needed once per cache

    folder = files[0].parent
    try:
        data = CIFAR10(str(folder.parent), train=split == "train", download=False)
    except RuntimeError:
        raise InputError(
            "is not the published copy of CIFAR-10: the MD5 of a file differs, so none was opened",
            where=str(folder),
            do=f"remove the folder, then {source.how_to_get}",
        ) from None
    return np.ascontiguousarray(np.moveaxis(data.data, -1, 1)), np.asarray(data.targets, dtype=np.int64)


def download(source: Source, folder: Path) -> None:
    """Get CIFAR-10 into `folder`, whole or not at all; without a network an InputError after about ten seconds."""
    from torchvision.datasets import CIFAR10

    try:
        with urlopen(Request(CIFAR10.url, method="HEAD"), timeout=CONNECT_S):
            pass
        folder.mkdir(parents=True, exist_ok=True)
        with _scratch(folder) as scratch, _silence_is_an_error():
            CIFAR10(str(scratch), download=True)
            _move(scratch / TORCHVISION_FOLDER, folder / TORCHVISION_FOLDER)
    except (OSError, RuntimeError, HTTPException) as error:
        raise InputError(f"downloading into {folder} failed: {error}", do=source.how_to_get) from None


def _move(done: Path, final: Path) -> None:
    """Rename; where another process was first, its copy stays (whether it is whole is checked on reading)."""
    try:
        done.rename(final)
    except OSError:
        if not final.is_dir():
            raise


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A dot-named folder beside the final one, so that a rename finishes the work; removed in any case."""
    path = Path(tempfile.mkdtemp(prefix=".download-", dir=folder))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _silence_is_an_error() -> Iterator[None]:
    """torchvision sets no time limit on its connection; a dead one would hang for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
