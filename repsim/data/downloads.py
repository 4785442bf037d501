"""Owns getting a data set over the network, with torchvision's downloaders: whole or not at all."""

import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from repsim.data.facts import Source
from repsim.errors import InputError

CONNECT_S = 8.0
SILENCE_S = 15.0


@dataclass(frozen=True)
class Download:
    """torchvision's class, what it is called with (once for each), and where what it leaves belongs in the data folder."""

    dataset: str
    calls: tuple[dict[str, Any], ...] = ({},)
    leaves: tuple[tuple[str, str], ...] = ()


def can_get(source: Source) -> bool:
    """Whether there is a downloader for it; the others need a person, an account or a very large disk."""
    return source.name in DOWNLOADS


def download(source: Source, folder: Path) -> None:
    """Get a data set into `folder`; without a network an InputError after about ten seconds."""
    from torchvision import datasets  # takes seconds to import, needed once

    plan = DOWNLOADS[source.name]
    dataset = getattr(datasets, plan.dataset)
    try:
        _must_answer(_address(dataset))
        folder.mkdir(parents=True, exist_ok=True)
        with _scratch(folder) as scratch, _silence_is_an_error():
            for call in plan.calls:
                dataset(str(scratch), download=True, **call)
            for left, place in plan.leaves:
                _move(scratch / left, folder / place)
    except (OSError, RuntimeError, HTTPException) as error:
        raise InputError(f"downloading into {folder} failed: {error}", do=source.how_to_get) from None


def _address(dataset: Any) -> str:
    """Of one of the files that torchvision's class wants."""
    if hasattr(dataset, "mirrors"):
        return dataset.mirrors[0] + dataset.resources[0][0]
    return dataset.url if hasattr(dataset, "url") else dataset.split_list["train"][0]


def _must_answer(url: str) -> None:
    """Raise OSError where nobody answers in time; a server that says no to this question is there."""
    try:
        with urlopen(Request(url, method="HEAD"), timeout=CONNECT_S):
            pass
    except HTTPError:
        return


def _move(done: Path, final: Path) -> None:
    """Rename; where another process was first, its copy stays (whether it is whole is checked on reading)."""
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        done.rename(final)
    except OSError:
        if not final.exists():
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


_SVHN = Download(
    "SVHN",
    ({"split": "train"}, {"split": "test"}),
    (("train_32x32.mat", "svhn/train_32x32.mat"), ("test_32x32.mat", "svhn/test_32x32.mat")),
)
_MNIST = Download("MNIST", leaves=(("MNIST/raw", "MNIST/raw"),))
_FASHION = Download("FashionMNIST", leaves=(("FashionMNIST/raw", "FashionMNIST/raw"),))
DOWNLOADS: dict[str, Download] = {
    "mnist": _MNIST,
    "mnist32": _MNIST,
    "fashion": _FASHION,
    "fashion32": _FASHION,
    "cifar10": Download("CIFAR10", leaves=(("cifar-10-batches-py", "cifar-10-batches-py"),)),
    "cifar100": Download("CIFAR100", leaves=(("cifar-100-python", "cifar-100-python"),)),
    "svhn": _SVHN,
}
