"""Owns what the saved stitchers of a sweep hold: their maps before and after training, and their learning curves."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from repsim import child
from repsim.errors import InputError, nearest
from repsim.job import STITCHER, RunId
from repsim.project import Project
from repsim.sweep.expand import Run, Sweep


@dataclass(frozen=True)
class Kept:
    """A saved stitcher of `run`.

    Attributes:
        start, end: diag(scales) · W before training and as it was scored, (q, p).
        curve: one entry per epoch: epoch, train_loss, validation_accuracy, validation_loss; None where not finite.
    """

    run: Run
    start: np.ndarray
    end: np.ndarray
    curve: Sequence[Mapping[str, Any]]


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


def read(sweep: Sweep, files: Mapping[RunId, Path]) -> list[Kept]:
    """What the files hold, in the order of the sweep. Raises InputError for a damaged one."""
    told = dict(zip(files, child.ask("repsim.stitching", "--maps", *map(str, files.values())), strict=True)) if files else {}
    return [_kept(run, told[run.id]) for run in sweep.runs if run.id in told]


def _kept(run: Run, told: Mapping[str, Any]) -> Kept:
    start, end = (np.frombuffer(base64.b64decode(told["maps"][name]), "<f4").reshape(told["shape"]) for name in ("start", "end"))
    return Kept(run, start, end, told["curve"])
