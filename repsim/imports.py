"""Owns bringing in published networks: which files a path means, what their names say, and the runs that adopt them.

The layout of the published collections is known: ARCH/DATASET/in<init seed>-gn<batch seed>/<iteration>.pt.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

from pydantic import ValidationError

from repsim import yamlfile
from repsim.errors import InputError, UserError
from repsim.identity import digest, id_of
from repsim.job import Job
from repsim.project import Project
from repsim.sweep.expand import IMPORT, Run, Sweep
from repsim.sweep.spec import Spec

SUFFIXES = (".pt", ".pth")
SEEDS = re.compile(r"in(\d+)-gn(\d+)")
PUBLISHED = {"Tiny10": ("tiny10", None), "ResNet20_w1": ("resnet20_b", 1)}
"""Folder names of the published collection → architecture and width."""


@dataclass(frozen=True)
class Found:
    """One checkpoint file and what is known of it before it is opened."""

    path: Path
    arch: str
    width: int | None
    seed: int
    data_seed: int | None


def find(paths: Sequence[Path], arch: str | None, width: int | None) -> list[Found]:
    """The checkpoint files that `paths` (files or folders) mean; seeds from their folder names, else numbered in order."""
    files = [file for path in paths for file in _files(path)]
    found = [_describe(file, arch, width, index) for index, file in enumerate(files)]
    doubles = {(f.arch, f.width, f.seed) for f in found}
    if len(doubles) < len(found):
        raise UserError(
            "two files have the same architecture and seed", where=str(paths[0]), do="import them one by one, with different --name"
        )
    return found


def sweep_of(project: Project, importer: Job, found: Sequence[Found], dataset: str, name: str) -> Sweep:
    """A sweep of one import run per file; every file is staged by its content."""
    runs = tuple(_run(project, importer, one, dataset, name) for one in found)
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
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES and not p.name.startswith("."))
    if not files:
        raise InputError(
            f"the folder holds no checkpoint ({', '.join(SUFFIXES)})", where=str(path), do="name the folder of the collection"
        )
    return files


def _describe(file: Path, arch: str | None, width: int | None, index: int) -> Found:
    file = file.absolute()  # its folders tell, even when it is named from inside of them; links stay as they are
    known = next((PUBLISHED[part] for part in reversed(file.parts) if part in PUBLISHED), None)
    if arch is None and known is None:
        raise InputError(
            "the folder does not tell the architecture", where=str(file), do="name it with --arch (see: repsim models list)"
        )
    seeds = SEEDS.search(str(file.parent.name))
    named, named_width = (arch, width) if arch else known or ("", None)
    return Found(file, named, named_width, int(seeds[1]) if seeds else index, int(seeds[2]) if seeds else None)


def _run(project: Project, importer: Job, one: Found, dataset: str, name: str) -> Run:
    content = _stage(project, one.path)
    seeds = {"seed": one.seed, "data_seed": one.data_seed}
    fields = {"arch": one.arch, "width": one.width, "dataset": dataset, "name": name, **seeds, "digest": content}
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
