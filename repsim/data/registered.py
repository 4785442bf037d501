"""Owns dataset.json, the file in a data folder by which a person's own data set is known. Light (no torch).

`repsim data add` writes it to FOLDER/NAME/dataset.json; from then on NAME is a data set like any other.
"""

import os
import re
import uuid
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from repsim.data.facts import Division, Frame, Source
from repsim.errors import InputError

FILE = "dataset.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
Unit = Annotated[float, Field(ge=0, le=1)]


class Registration(BaseModel):
    """What dataset.json says. `classes` by name, in the order of their labels; mean and std of the training split."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    format: Literal[1]
    name: Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
    classes: Annotated[list[str], Field(min_length=1)]
    channels: Literal[1, 3]
    size: Annotated[int, Field(ge=1, le=4096)]
    mean: list[Unit]
    std: list[Annotated[float, Field(gt=0, le=1)]]
    train_images: Annotated[int, Field(ge=1)]
    test_images: Annotated[int, Field(ge=1)]
    layout: Literal["classes", "parquet"]
    test_share: Annotated[float, Field(gt=0, lt=1)] | None = None
    split_seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None


def folders() -> tuple[Path, ...]:
    """The folders of REPSIM_DATA; the project puts its own data/ first."""
    return tuple(Path(folder) for folder in os.environ.get("REPSIM_DATA", "").split(os.pathsep) if folder)


def find(name: str, places: Sequence[Path]) -> Source | None:
    """The data set called `name` in the first of `places` that knows it; InputError: its dataset.json is damaged."""
    if not NAME.fullmatch(name):
        return None
    for path in (place / name / FILE for place in places):
        try:
            return _read(path, path.stat().st_mtime_ns)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", where=str(path), do="ask its owner") from None
    return None


def all_in(places: Sequence[Path]) -> Iterator[str]:
    """The names of the data sets registered in `places`."""
    for path in sorted({path for place in places for path in place.glob(f"*/{FILE}")}):
        yield path.parent.name


def write(source: Source, folder: Path) -> Path:
    """Register `source` in `folder`: dataset.json, whole or not at all. InputError: the disk says no."""
    path = folder / source.name / FILE
    scratch = path.with_name(f".{FILE}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(_registration(source).model_dump_json(indent=1) + "\n", encoding="utf-8")
        scratch.replace(path)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(path), do="make the folder writable") from None
    finally:
        scratch.unlink(missing_ok=True)
    return path


@cache
def _read(path: Path, changed_ns: int) -> Source:
    try:
        said = Registration.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        what = f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"
        raise InputError(what, where=str(path), do=f"remove it, then: repsim data add {path.parent.name}") from None
    if said.name != path.parent.name or len(said.mean) != said.channels or len(said.std) != said.channels:
        what = f"it is of '{said.name}', with {len(said.mean)} means and {len(said.std)} stds for {said.channels} channels"
        raise InputError(what, where=str(path), do=f"remove it, then: repsim data add {path.parent.name}")
    return _source(said)


def _source(said: Registration) -> Source:
    share, seed = said.test_share, said.split_seed
    return Source(
        *(said.name, len(said.classes), said.channels, said.size, tuple(said.mean), tuple(said.std)),
        *(said.train_images, said.test_images),
        how_to_get=f"put its pictures back into data/{said.name}/, or name the folder that holds {said.name}/ in REPSIM_DATA",
        layouts=(said.layout,),
        frame=Frame("shorter", said.size),
        class_names=tuple(said.classes),
        division=None if share is None or seed is None else Division(share, seed),
    )


def _registration(source: Source) -> Registration:
    division = source.division
    return Registration(
        format=1,
        name=source.name,
        classes=list(source.class_names),
        channels=1 if source.channels == 1 else 3,
        size=source.size,
        mean=list(source.mean),
        std=list(source.std),
        train_images=source.train_images,
        test_images=source.test_images,
        layout="classes" if source.layouts == ("classes",) else "parquet",
        test_share=division.test_share if division else None,
        split_seed=division.seed if division else None,
    )
