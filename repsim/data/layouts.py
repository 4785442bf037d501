"""Owns the layouts in which people have their data sets on disk: which files there must be, and where. Light (no torch)."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from repsim.data.facts import SPLITS, Files, Kind, Layout, Source
from repsim.errors import InputError

PICKLES = {
    "cifar10": ("cifar-10-batches-py", {"train": tuple(f"data_batch_{k}" for k in range(1, 6)), "test": ("test_batch",)}),
    "cifar100": ("cifar-100-python", {"train": ("train",), "test": ("test",)}),
}
IDX = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
MAT = {"train": ("train_32x32.mat",), "test": ("test_32x32.mat",)}
CELEBA = ("list_attr_celeba.txt", "list_eval_partition.txt", "img_align_celeba")
CIFAR5M = {"train": tuple(f"cifar5m_part{k}.npz" for k in range(5)), "test": ("cifar5m_part5.npz",)}
IMAGES300K = {"train": ("300K_random_images.npy",), "test": ()}
PARQUET_FOLDERS = ("plain_text", "data", "default", "cropped_digits", "")


@dataclass(frozen=True)
class Candidate:
    """A place that could hold a data set: those of its files that are there, and what is not."""

    kind: Kind
    place: Path
    files: Files
    lacking: tuple[str, ...]

    @property
    def begun(self) -> bool:
        """Whether anything of it is there."""
        return any(self.files.values())


def candidates(source: Source, folder: Path) -> Iterator[Candidate]:
    """Each place in `folder` that could hold the data set, the likeliest first."""
    for layout in source.layouts:
        yield from LAYOUTS[layout](source, folder)


def subfolders(place: Path) -> tuple[Path, ...]:
    """The folders in `place`, by name; hidden ones do not count."""
    try:
        return tuple(sorted(path for path in place.iterdir() if not path.name.startswith(".") and path.is_dir()))
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        raise _unreadable(place, error) from None


def _pickles(source: Source, folder: Path) -> Iterator[Candidate]:
    inner, names = PICKLES[source.name]
    yield from _named("torchvision", [folder / inner, *(called / inner for called in _called(source, folder))], names)


def _idx(source: Source, folder: Path) -> Iterator[Candidate]:
    nested = [inner for called in _called(source, folder) for inner in (called, *_called(source, called))]
    yield from _named("idx", [place for inner in nested for place in (inner / "raw", inner)], IDX)


def _mat(source: Source, folder: Path) -> Iterator[Candidate]:
    yield from _named("mat", [*_called(source, folder), folder], MAT)


def _celeba(source: Source, folder: Path) -> Iterator[Candidate]:
    yield from _named("celeba", _called(source, folder), dict.fromkeys(SPLITS, CELEBA))


def _cifar5m(source: Source, folder: Path) -> Iterator[Candidate]:
    yield from _named("cifar5m", [*_called(source, folder), folder], CIFAR5M)


def _images300k(source: Source, folder: Path) -> Iterator[Candidate]:
    yield from _named("images300k", [*_called(source, folder), folder], IMAGES300K)


def _classes(source: Source, folder: Path) -> Iterator[Candidate]:
    """NAME/train/CLASS/* and NAME/test/CLASS/* (or val); where a set is divided by seed, NAME/CLASS/*."""
    for place in _called(source, folder):
        test = next((split for split in source.tested_on if subfolders(place / split)), source.tested_on[0])
        files: Files = {"train": subfolders(place / "train"), "test": subfolders(place / test)}
        if source.division and not any(files.values()):
            files = {split: subfolders(place) for split in SPLITS}
        lacking = [f"{name}/CLASS/" for name, there in zip(("train", test), files.values(), strict=True) if not there]
        yield Candidate("classes", place, files, tuple(lacking))


def _parquet(source: Source, folder: Path) -> Iterator[Candidate]:
    """SPLIT-00000-of-0000N.parquet …, in a folder named after the configuration or directly in NAME/.

    Where a set is divided by seed and has no test split, the training split, else every Parquet file that is there.
    """
    called = _called(source, folder)
    for place in [inner for outer in called for inner in (*(outer / name for name in PARQUET_FOLDERS), outer / outer.name)]:
        test = next((split for split in source.tested_on if _shards(place, split)), source.tested_on[0])
        named = {"train": "train", "test": test}
        files: Files = {split: _shards(place, name) for split, name in named.items()}
        if source.division and not files["test"]:
            files = dict.fromkeys(SPLITS, files["train"] or tuple(sorted(place.glob("[!.]*.parquet"))))
        lacking = [text for split, paths in files.items() if (text := _lacking_shards(named[split], paths))]
        yield Candidate("parquet", place, files, tuple(lacking))


def _named(kind: Kind, places: Sequence[Path], names: dict[str, tuple[str, ...]]) -> Iterator[Candidate]:
    """Places that must hold files of these names, which may be compressed as .gz."""
    for place in places:
        there = {name: _there(place / name) for split in names.values() for name in split}
        files = {split: tuple(path for name in wanted if (path := there[name])) for split, wanted in names.items()}
        yield Candidate(kind, place, files, tuple(name for name, path in there.items() if path is None))


def _called(source: Source, folder: Path) -> list[Path]:
    return [folder / name for name in dict.fromkeys((source.name, *source.also_called))]


def _there(path: Path) -> Path | None:
    try:
        return next((p for p in (path, path.with_name(f"{path.name}.gz")) if p.exists()), None)
    except PermissionError as error:
        raise _unreadable(path.parent, error) from None


def _shards(place: Path, split: str) -> tuple[Path, ...]:
    return tuple(sorted(place.glob(f"{split}-*.parquet"))) or tuple(place.glob(f"{split}.parquet"))


def _lacking_shards(split: str, paths: Sequence[Path]) -> str | None:
    """A split is cut into SPLIT-00000-of-0000N.parquet …: all N must be there, of one N."""
    if not paths:
        return f"{split}-*.parquet"
    totals = {int(match[1]) for path in paths if (match := re.search(r"-of-(\d+)\.parquet$", path.name))}
    if len(totals) > 1:
        return f"one set of {split} shards (there are shards of {' and of '.join(map(str, sorted(totals)))})"
    if totals and (total := totals.pop()) != len(paths):
        return f"{total - len(paths)} of the {total} shards of {split}"
    return None


def _unreadable(place: Path, error: OSError) -> InputError:
    return InputError(f"may not be read: {error.strerror}", where=str(place), do="ask its owner, or use another data folder")


LAYOUTS: dict[Layout, Callable[[Source, Path], Iterator[Candidate]]] = {
    "torchvision": _pickles,
    "idx": _idx,
    "mat": _mat,
    "celeba": _celeba,
    "cifar5m": _cifar5m,
    "images300k": _images300k,
    "classes": _classes,
    "parquet": _parquet,
}
