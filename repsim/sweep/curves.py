"""Owns the learning curves that a project has: those of trainings stand in their rows, those of stitchers in files."""

from math import isnan
from pathlib import Path
from typing import Any

from repsim.errors import InputError, nearest
from repsim.job import STITCHER, RunId
from repsim.project import Project
from repsim.sweep.expand import TRAIN
from repsim.sweep.known import Known, networks

OF_TRAINING = ("rate", "train_loss", "train_accuracy", "accuracy", "loss", "seconds")


def find(project: Project, run: str) -> Path | dict[str, Any]:
    """The one run whose id begins with `run`: the file of a saved stitcher, or the curve of a training (see `of_training`).

    Raises InputError where there is none, or more than one.
    """
    there: dict[RunId, Path | Known] = {file.parent.name: file for file in sorted(project.artefacts.glob(f"*/{STITCHER}"))}
    there |= {known.run: known for known in networks(project, TRAIN) if known.row.get("curve_epoch")}
    meant = [name for name in there if name.startswith(run)]
    if not there:
        do = "train a network, or ask a stitch to be kept: save: true in a sweep, --set save=true by hand"
        raise InputError("no run here has a learning curve", where=run, do=do)
    if not meant:
        raise InputError("no such run has a learning curve", where=run, do=nearest(run, there))
    if len(meant) > 1:
        raise InputError(f"{len(meant)} runs with a learning curve begin so", where=run, do=nearest(run, meant))
    found = there[meant[0]]
    return found if isinstance(found, Path) else of_training(found)


def of_training(known: Known) -> dict[str, Any]:
    """{run_id, label, outcome, accuracy, test_images, scored_on, curve: one {epoch, …} per epoch}; None: not measured."""
    row = known.row
    scored = {"accuracy": f"{row['curve_on']}_accuracy", "loss": f"{row['curve_on']}_loss"}
    curve = [
        {"epoch": int(epoch), **{scored.get(name, name): _known(row[f"curve_{name}"][i]) for name in OF_TRAINING}}
        for i, epoch in enumerate(row["curve_epoch"])
    ]
    label = f"{known.label}:{known.seed} on {known.dataset}, {row['made']}"
    told = {name: row[name] for name in ("run_id", "outcome", "accuracy", "test_images")}
    return {**told, "label": label, "scored_on": row["curve_on"], "curve": curve}


def _known(value: float | None) -> float | None:
    return None if value is None or isnan(value) else value
