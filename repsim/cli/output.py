"""Owns what all commands share: the project they work on, the sweep they name, and where text and JSON go."""

import json
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from repsim import project as projects
from repsim.cli.lazily import PROJECT
from repsim.errors import SpecError, UserError, nearest
from repsim.project import Project

if TYPE_CHECKING:
    from repsim.sweep.expand import Sweep

ENDINGS = {".txt": "text", ".md": "markdown", ".tex": "latex", ".csv": "csv", ".json": "json"}
ENDINGS |= {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
"""Of a file that is written: by ending, the format."""
TEXT = "text"
AS_OUT = "; by default as --out ends, else text."
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
SpecArgument = Annotated[str, typer.Argument(metavar="SPEC", help="A sweep file, or the name of one in sweeps/.")]
ProfileOption = Annotated[str | None, typer.Option("--profile", help="A profile of slurm/, instead of the sweep's own.")]
Filters = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]…", help="Only runs whose fields match, as in stitcher=linear.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def project_of(spec: str | None = None) -> Project:
    """The project around the sweep file `spec`, around here, or the one named with --project."""
    return projects.find(Path(spec).parent if spec and _is_file(Path(spec)) else None, PROJECT.get())


def spec_path(spec: str, project: Project) -> Path:
    """The file that `spec` means: a path, or a name in sweeps/ or sweeps/papers/."""
    if spec.endswith(".parquet"):
        do = "name its sweep; results table, export, diff and dictionary read such a file"
        raise SpecError("a Parquet file is no sweep", where=spec, do=do)
    folders = (project.sweeps, project.papers)
    for path in (Path(spec), *(folder / name for folder in folders for name in (spec, f"{spec}.yaml"))):
        if _is_file(path):
            return path
    choices = [path.stem for path in project.sweep_files]
    raise SpecError("there is no such sweep", where=spec, do=nearest(Path(spec).stem, choices))


def _is_file(path: Path) -> bool:
    """Whether there is such a file; a name that no file can have names none."""
    try:
        return path.is_file()
    except OSError:
        return False


def opened(spec: str) -> "tuple[Project, Sweep]":
    """The sweep that `spec` means, read and expanded, and the project it belongs to."""
    from repsim.sweep.expand import open_sweep  # not for help

    project = project_of(spec)
    return project, open_sweep(spec_path(spec, project), project)


def format_of(asked: str | None, out: Path | None, formats: Collection[str], usual: str = TEXT) -> str:
    """The format that was asked for, else the one that the file's name ends with, `usual` without an ending.

    Text may be in a file of any other ending. Raises: SpecError for what is none of `formats`.
    """
    if asked or out is None or not out.suffix:
        known_format(asked or usual, formats)
        return asked or usual
    found = ENDINGS.get(out.suffix.lower(), TEXT)
    if found not in formats:
        ends = ", ".join(ending for ending, name in ENDINGS.items() if name in formats)
        raise SpecError(f"no format here ends with '{out.suffix}'", where=f"--out {out}", do=f"end it with {ends}, or say --format")
    return found


def known_format(name: str, formats: Collection[str]) -> None:
    """Raise SpecError for a format that is none of `formats`."""
    if name not in formats:
        raise SpecError(f"unknown format '{name}'", where="--format", do=nearest(name, formats))


def show(as_json: bool, data: Any, text: str) -> None:
    """`data` as one JSON object, or `text`, on stdout."""
    print(json.dumps(data, indent=1, default=str) if as_json else text)


def say(text: str) -> None:
    """A line for people, on stderr."""
    print(text, file=sys.stderr, flush=True)


def write(path: Path, text: str) -> None:
    """`text` as a file, its folder made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}", where=str(path), do="choose another --out") from None


def give(text: str, out: Path | None) -> None:
    """`text`, which ends its last line, on stdout, or in the file `out`."""
    if out is None:
        print(text, end="")
        return
    write(out, text)
    say(f"→ {out}")


def confirm(question: str, yes: bool) -> None:
    """Ask; off a terminal refuse without --yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UserError("this would change something, and nobody can be asked here", do="say --yes")
    if not typer.confirm(question, err=True):
        raise typer.Exit(0)
