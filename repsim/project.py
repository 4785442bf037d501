"""Owns the folders: finds the project root, and names every folder of it once."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from repsim.errors import UserError


@dataclass(frozen=True)
class Project:
    """The folders of one project. `data` in the root comes before the folders of REPSIM_DATA."""

    root: Path
    extra_data: tuple[Path, ...] = ()
    results_root: Path | None = None  # elsewhere for a dry run

    @property
    def sweeps(self) -> Path:
        return self.root / "sweeps"

    @property
    def papers(self) -> Path:
        """Where the sweeps lie that repeat papers."""
        return self.sweeps / "papers"

    @property
    def sweep_files(self) -> list[Path]:
        """Every sweep file; their stems are names, so no two are equal."""
        return [path for folder in (self.sweeps, self.papers) for path in sorted(folder.glob("*.yaml"))]

    @property
    def jobs(self) -> Path:
        return self.root / "jobs"

    @property
    def profiles(self) -> Path:
        return self.root / "slurm"

    @cached_property
    def results(self) -> Path:
        return self.results_root or self.root / "results"

    @property
    def store(self) -> Path:
        return self.results / "store"

    @property
    def artefacts(self) -> Path:
        return self.results / "artefacts"

    @property
    def submissions(self) -> Path:
        return self.results / "submissions"

    @property
    def code(self) -> Path:
        return self.results / "code"

    @property
    def cache(self) -> Path:
        return self.root / "results" / "cache"

    @property
    def tables(self) -> Path:
        return self.results / "tables"

    @property
    def data_folders(self) -> tuple[Path, ...]:
        return (self.root / "data", *self.extra_data)


def find(start: Path | None = None, explicit: Path | None = None) -> Project:
    """The project around `start` (a sweep file or folder; else the working directory), or exactly `explicit`.

    The root is the nearest folder upwards that holds both `sweeps/` and `slurm/`. Its data folder goes first in REPSIM_DATA, so
    that child processes find the data sets that are registered there.
    """
    project = _found(start, explicit)
    os.environ["REPSIM_DATA"] = os.pathsep.join(map(str, project.data_folders))
    return project


def _found(start: Path | None, explicit: Path | None) -> Project:
    if explicit is not None:
        if not _is_root(explicit):
            raise UserError(
                "this is no repsim project: it lacks sweeps/ or slurm/", where=str(explicit), do="name the folder that holds both"
            )
        return _project(explicit.resolve())
    for origin in filter(None, (start, Path.cwd())):
        for folder in (origin.resolve(), *origin.resolve().parents):
            if _is_root(folder):
                return _project(folder)
    raise UserError(
        "no repsim project here or above: no folder holds both sweeps/ and slurm/",
        where=str(Path.cwd()),
        do="go into the project, or name it with --project",
    )


def _project(root: Path) -> Project:
    named = [Path(folder) for folder in os.environ.get("REPSIM_DATA", "").split(os.pathsep) if folder]
    return Project(root, tuple(folder for folder in named if folder != root / "data"))


def _is_root(folder: Path) -> bool:
    return (folder / "sweeps").is_dir() and (folder / "slurm").is_dir()
