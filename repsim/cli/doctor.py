"""Owns `repsim doctor`: what works here, what does not, and what to do about it."""

import os
import shutil
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import typer

from repsim import cluster, hardware
from repsim import job as jobs
from repsim.cli.output import Json, project_of, show
from repsim.errors import UserError

MIN_FREE_GB = 2.0


def doctor(json: Json = False) -> None:
    """Check project, disk, torch, GPU, Slurm, data and store; leaves with 1 if something that every run needs is missing."""
    found = [_try(name, needed, check) for name, needed, check in CHECKS]
    lines = [f"  {'ok  ' if f['ok'] else 'FAIL' if f['needed'] else '–   '} {f['what']:<9} {f['says']}" for f in found]
    show(json, {"checks": found}, "\n".join(lines))
    if any(f["needed"] and not f["ok"] for f in found):
        raise typer.Exit(1)


def _try(name: str, needed: bool, check: Callable[[], str]) -> dict[str, Any]:
    try:
        return {"what": name, "needed": needed, "ok": True, "says": check()}
    except UserError as error:
        return {"what": name, "needed": needed, "ok": False, "says": str(error).replace("\n", "")}


def _project() -> str:
    return str(project_of().root)


def _disk() -> str:
    results = project_of().results
    folder = results if results.exists() else results.parent
    if not folder.is_dir():
        raise UserError("is no folder", where=str(folder), do="move it away: results go there")
    if not os.access(folder, os.W_OK):
        raise UserError("results cannot be written", where=str(folder), do="mend the permissions")
    free = shutil.disk_usage(folder).free / 1e9
    if free < MIN_FREE_GB:
        raise UserError(f"only {free:.1f} GB are free", where=str(folder), do="free the disk")
    return f"{free:.0f} GB free in {folder}"


def _torch() -> str:
    try:
        return ", ".join(f"{name} {version(name)}" for name in ("torch", "torchvision", "submitit"))
    except PackageNotFoundError as error:
        raise UserError(f"{error.name} is not installed", do="make install") from None


def _gpu() -> str:
    cards = hardware.gpus()
    if not cards:
        raise UserError("nvidia-smi lists no card", do="runs here use the CPU")
    return ", ".join(cards)


def _slurm() -> str:
    return cluster.version() + f", arrays of up to {cluster.max_array_size():,}"


def _data() -> str:
    folders = project_of().data_folders
    there = [str(folder) for folder in folders if Path(folder).is_dir()]
    if not there:
        raise UserError(
            "none of the data folders exists",
            where=":".join(map(str, folders)),
            do="make data/, or set REPSIM_DATA; digits need none",
        )
    return ":".join(there)


def _store() -> str:
    from repsim import store

    project = project_of()
    names = [path.stem for path in sorted(project.jobs.glob("*.py"))]
    return ", ".join(f"{name} {len(store.stored_ids(project.store, jobs.load(project.jobs, name))):,}" for name in names) + " runs"


CHECKS = (
    ("project", True, _project),
    ("disk", True, _disk),
    ("torch", True, _torch),
    ("gpu", False, _gpu),
    ("slurm", False, _slurm),
    ("data", False, _data),
    ("store", True, _store),
)
