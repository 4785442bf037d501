"""Owns taking networks out of a project: which files are written where, and what is said of each beside it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repsim import child, described
from repsim.errors import InputError, UserError, nearest
from repsim.job import NETWORK
from repsim.project import Project
from repsim.sweep import known
from repsim.sweep.known import Known

FORMATS = {"pt": (".pt", ".pth"), "safetensors": (".safetensors",)}
"""Format → what its files are called; the first one where a name is made."""
RESUME = "resume"  # holds the state of a training, not a network


@dataclass(frozen=True)
class Export:
    """One network to be written to one file."""

    network: Known
    checkpoint: str | None
    source: Path
    target: Path
    format: str


def plan(
    project: Project, names: Sequence[str], out: Path, format: str | None, checkpoint: str | None, force: bool
) -> list[Export]:
    """What is to be written, before anything is.

    Args:
        names: of networks (`known.find`); one named twice counts once.
        out: a file, told by its suffix, for one network; else a folder, which is made.
        format: "pt" or "safetensors"; None: what the suffix of `out` says, else "pt".
        checkpoint: "last", "epoch_0010" … of a training that kept it; None: the network that counts.

    Raises InputError for networks and checkpoints that are not there, UserError for files that would be overwritten.
    """
    there = known.everything(project)
    networks = {one.run: one for one in (known.find(project, there, name, "NETWORK") for name in names)}
    suffixes = {suffix: name for name, ends in FORMATS.items() for suffix in ends}
    chosen = _format(out, format, suffixes)
    if out.suffix in suffixes and len(networks) > 1:
        raise UserError(f"one file cannot hold {len(networks)} networks", where=str(out), do="name a folder with --out")
    exports = [_export(project, one, out, chosen, checkpoint, out.suffix in suffixes) for one in networks.values()]
    if not force:
        _refuse_overwriting(exports)
    return exports


def write(exports: Sequence[Export]) -> list[dict[str, Any]]:
    """Write every file, and its description beside it; the descriptions, each with its `path`."""
    for one in exports:
        _make(one.target.parent)
    asked = [{"file": str(one.source), "out": str(one.target.absolute()), "format": one.format} for one in exports]
    told = child.ask("repsim.models.exporting", json.dumps(asked))
    descriptions = [_facts(one, found) for one, found in zip(exports, told, strict=True)]
    for one, facts in zip(exports, descriptions, strict=True):
        described.write(one.target, facts)
    return [{**facts, "path": str(one.target)} for one, facts in zip(exports, descriptions, strict=True)]


def _format(out: Path, format: str | None, suffixes: dict[str, str]) -> str:
    if format is not None and format not in FORMATS:
        raise UserError(f"unknown format '{format}'", where="--format", do=nearest(format, FORMATS))
    said = suffixes.get(out.suffix)
    if out.suffix and not said and not out.is_dir():
        do = f"name a file in {', '.join(suffixes)}, or a folder without a dot in its name"
        raise UserError(f"cannot write a '{out.suffix}' file", where=str(out), do=do)
    if said and format and said != format:
        raise UserError(f"a {out.suffix} file is not {format}", where=str(out), do="leave --format out, or change the suffix")
    return format or said or "pt"


def _export(project: Project, one: Known, out: Path, format: str, checkpoint: str | None, is_file: bool) -> Export:
    source = _source(project, one, checkpoint)
    stem = "_".join(filter(None, [one.label, one.dataset, f"seed{one.seed}", one.run, checkpoint]))
    return Export(one, checkpoint, source, out if is_file else out / f"{stem}{FORMATS[format][0]}", format)


def _source(project: Project, one: Known, checkpoint: str | None) -> Path:
    """The file of the network; of a checkpoint that the training kept, by its name, which is never used as a path."""
    folder = project.artefacts / one.run
    if checkpoint is None:
        return folder / NETWORK
    kept = {file.stem: file for file in sorted(folder.glob("*.pt")) if file.name != NETWORK and file.stem != RESUME}
    if checkpoint not in kept:
        do = nearest(checkpoint, kept) if kept else "leave --checkpoint out; a training keeps some when its recipe or sweep says so"
        raise InputError(f"{one} has no checkpoint '{checkpoint}'", where="--checkpoint", do=do)
    return kept[checkpoint]


def _refuse_overwriting(exports: Sequence[Export]) -> None:
    there = [path for one in exports for path in (one.target, described.beside(one.target)) if path.exists()]
    if there:
        more = f" (and {len(there) - 1} more)" if len(there) > 1 else ""
        raise UserError(f"there is such a file already{more}", where=str(there[0]), do="name another --out, or say --force")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the folder cannot be made: {error.strerror}", where=str(folder), do="name another --out") from None


def _facts(one: Export, found: dict[str, Any]) -> dict[str, Any]:
    """The description: what an import needs, and where the network comes from. Accuracy is of the network that counts."""
    row, counts = one.network.row, one.checkpoint is None
    asked = {key: row.get(key) for key in ("arch", "width", "depth", "dataset", "seed", "data_seed")}
    scored = {"accuracy": row["accuracy"], "test_images": row["test_images"]} if counts else {"accuracy": None, "test_images": None}
    origin = {key: row[key] for key in ("made", "recipe", "epochs", "name", "source", "digest") if row.get(key) is not None}
    return {**asked, **found, **scored, "run_id": one.network.run, "checkpoint": one.checkpoint or "network", **origin}
