"""Owns bringing in networks: which files a path means, what is known of each before it is opened, and the runs that adopt them.

What was said on the command line comes first, then the description that `repsim zoo export` writes beside a file, then
the layout of the published collections: ARCH/DATASET/in<init seed>-gn<batch seed>/<iteration>.pt.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from repsim import described, yamlfile
from repsim.errors import InputError, UserError
from repsim.identity import digest, id_of
from repsim.job import Job
from repsim.project import Project
from repsim.sweep.expand import IMPORT, Run, Sweep
from repsim.sweep.spec import Spec

SUFFIXES = (".pt", ".pth", ".pth.tar", ".ckpt", ".th", ".safetensors")
SEEDS = re.compile(r"in(\d+)-gn(\d+)")
PUBLISHED = {"Tiny10": ("tiny10", None), "ResNet20_w1": ("resnet20_b", 1)}
"""Folder names of the published collection → architecture and width."""
DATASET = "cifar10"  # of the published collections, and where nothing is said


KEYS = ("arch", "width", "depth", "dataset", "normalise", "seed", "data_seed")


@dataclass(frozen=True)
class Said:
    """What the command line says of all files at once; None is left to each file's description, place or default."""

    arch: str | None = None
    width: int | None = None
    depth: int | None = None
    dataset: str | None = None
    normalise: str | None = None


@dataclass(frozen=True)
class Found:
    """One checkpoint file and what is known of it before it is opened; `source` is its name below the folder imported."""

    path: Path
    source: str
    arch: str
    width: int | None
    depth: int | None
    dataset: str
    normalise: str | None
    seed: int
    data_seed: int | None


def find(paths: Sequence[Path], said: Said) -> list[Found]:
    """The checkpoint files that `paths` (files or folders) mean; seeds that nothing tells are numbered in order."""
    files = [(file, path) for path in paths for file in _files(path)]
    found = [_describe(file, path, said, index) for index, (file, path) in enumerate(files)]
    first: dict[tuple[Any, ...], Found] = {}
    for one in found:
        other = first.setdefault((one.arch, one.width, one.depth, one.dataset, one.seed), one)
        if other is not one:
            what = f"'{other.source}' and '{one.source}' have the same architecture and seed"
            raise UserError(what, where=str(paths[0]), do="import them one by one, with different --name")
    return found


def sweep_of(project: Project, importer: Job, found: Sequence[Found], name: str) -> Sweep:
    """A sweep of one import run per file, each in the collection `name`; every file is staged by its content."""
    staged: list[str] = []
    try:
        for one in found:
            staged.append(_stage(project, one.path))
        runs = tuple(_run(importer, one, content, name) for one, content in zip(found, staged, strict=True))
    except UserError:
        unstage(project, staged)
        raise
    return Sweep(f"import-{name}", project.root, Spec(job=IMPORT), {IMPORT: importer}, (), runs)


def digest_of(run: Run) -> str:
    """The SHA-256 of the file that an import run adopts."""
    return run.config.model_dump()["digest"]


def unstage(project: Project, digests: Sequence[str]) -> None:
    """Remove staged copies; the adopted networks keep copies of their own."""
    for one in digests:
        _staged(project, one).unlink(missing_ok=True)


def in_users_words(project: Project, found: Sequence[Found], sweep: Sweep, messages: Sequence[str]) -> list[str]:
    """Messages about staged copies, with the files that they were made of in their place."""
    files = {str(_staged(project, digest_of(run))): str(one.path) for one, run in zip(found, sweep.runs, strict=True)}
    return [reduce(lambda text, names: text.replace(*names), files.items(), message) for message in messages]


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise InputError(
            "there is no such file or folder", where=str(path), do="name checkpoint files, or a folder that holds them"
        )
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.name.endswith(SUFFIXES) and p.name[0] != ".")
    if not files:
        raise InputError(
            f"the folder holds no checkpoint ({', '.join(SUFFIXES)})", where=str(path), do="name the folder of the collection"
        )
    return files


def _describe(file: Path, named: Path, said: Said, index: int) -> Found:
    """What is known of `file`, found below `named`."""
    told = {**_by_folders(file), **described.read(file)}
    if said.arch not in (None, told.get("arch")):  # what else is told is of another architecture
        told = {key: value for key, value in told.items() if key not in ("width", "depth")}
    told |= {key: value for key, value in asdict(said).items() if value is not None}
    if "arch" not in told:
        raise InputError(
            "the folder does not tell the architecture", where=str(file), do="name it with --arch (see: repsim models list)"
        )
    source = str(file.relative_to(named)) if file != named else file.name
    whole = {"width": None, "depth": None, "dataset": DATASET, "normalise": None, "seed": index, "data_seed": None, **told}
    return Found(file, source, **{key: whole[key] for key in KEYS})


def _by_folders(file: Path) -> dict[str, Any]:
    """What the layout of the published collections tells."""
    file = file.absolute()  # its folders tell, even when it is named from inside of them; links stay as they are
    known = next((PUBLISHED[part] for part in reversed(file.parts) if part in PUBLISHED), None)
    seeds = SEEDS.search(file.parent.name)
    told = {"arch": known[0], "width": known[1]} if known else {}
    return told | ({"seed": int(seeds[1]), "data_seed": int(seeds[2])} if seeds else {})


def _run(importer: Job, one: Found, content: str, name: str) -> Run:
    fields = {**{key: getattr(one, key) for key in KEYS}, "source": one.source, "name": name, "digest": content}
    try:
        config = importer.config.model_validate(fields)
    except ValidationError as error:
        raise yamlfile.explain(error, importer.config, fields, str(one.path)) from None
    return Run(id_of(importer, config), IMPORT, config, (), digest(content), {"arch": one.arch, "seed": one.seed})


def _stage(project: Project, path: Path) -> str:
    """Copy the file under its SHA-256, so that what is checked is what is adopted."""
    draft = project.artefacts / "imports" / f".{os.getpid()}"
    try:
        draft.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, draft)
        content = hashlib.sha256(draft.read_bytes()).hexdigest()
        draft.replace(_staged(project, content))
    except OSError as error:
        where, do = str(error.filename or path), "mend the permissions, or free the disk"
        raise UserError(f"the file to import cannot be copied: {error.strerror}", where=where, do=do) from None
    finally:
        with suppress(OSError):
            draft.unlink()
    return content


def _staged(project: Project, content: str) -> Path:
    return project.artefacts / "imports" / f"{content}.pt"
