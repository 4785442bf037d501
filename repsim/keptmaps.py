"""Owns what the saved stitchers of a sweep hold: their maps before and after training, and their learning curves."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from repsim import child
from repsim.errors import InputError, nearest
from repsim.job import STITCHER, RunId
from repsim.project import Project
from repsim.sweep.expand import Run, Sweep

AT_ONCE = 1000  # files that one process reads: the words of a command may be 2 MB


@dataclass(frozen=True)
class Learned:
    """What the saved stitcher of `run` learned.

    Attributes:
        curve: one entry per epoch: epoch, train_loss, validation_accuracy, validation_loss; None where not finite.
    """

    run: Run
    curve: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Kept(Learned):
    """A saved stitcher with its maps.

    Attributes:
        start, end: diag(scales) · W before training and as it was scored, (q, p).
    """

    start: np.ndarray
    end: np.ndarray


def files(project: Project, sweep: Sweep, asked: Sequence[str] = ()) -> dict[RunId, Path]:
    """The file of each run of the sweep that kept its stitcher, or of those whose ids begin with one of `asked`.

    Raises: InputError where none was kept, and for what none begins with.
    """
    there = {run.id: project.artefacts / run.id / STITCHER for run in sweep.runs}
    there = {run: file for run, file in there.items() if file.is_file()}
    if not there:
        do = "say save: true in the sweep; with when: for some runs alone"
        raise InputError("no stitcher of this sweep is saved", where=str(sweep.path), do=do)
    for name in asked:
        if not any(run.startswith(name) for run in there):
            raise InputError("no saved run of this sweep begins so", where=name, do=nearest(name, there))
    return {run: file for run, file in there.items() if not asked or run.startswith(tuple(asked))}


def first_of_each_case(sweep: Sweep, files: Mapping[RunId, Path]) -> dict[RunId, Path]:
    """Of several files of one case, that of the run which stands first in the sweep."""
    found: dict[Any, RunId] = {}
    for run in sweep.runs:
        if run.id in files:
            found.setdefault(run.labels.get("case"), run.id)
    return {run: files[run] for run in found.values()}


def learned(sweep: Sweep, files: Mapping[RunId, Path]) -> list[Learned]:
    """The curves in the files, in the order of the sweep. Raises InputError for a damaged one."""
    return [Learned(run, told["curve"]) for run, told in _told(sweep, files, "--curves")]


def read(sweep: Sweep, files: Mapping[RunId, Path]) -> list[Kept]:
    """The same with the maps."""
    return [_kept(run, told) for run, told in _told(sweep, files, "--maps")]


def _told(sweep: Sweep, files: Mapping[RunId, Path], what: str) -> Iterator[tuple[Run, Mapping[str, Any]]]:
    runs = [run for run in sweep.runs if run.id in files]
    for start in range(0, len(runs), AT_ONCE):
        some = runs[start : start + AT_ONCE]
        yield from zip(some, child.ask("repsim.stitching", what, *(str(files[run.id]) for run in some)), strict=True)


def _kept(run: Run, told: Mapping[str, Any]) -> Kept:
    start, end = (np.frombuffer(base64.b64decode(told["maps"][name]), "<f4").reshape(told["shape"]) for name in ("start", "end"))
    return Kept(run, told["curve"], start, end)
