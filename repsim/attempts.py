"""Owns reading attempt records: of an open submission file by file, of a closed one from a summary.

results/submissions/NAME/attempts/T.R.X.jsonl   what a process of restart R of task T did
                         attempts.json          all of them together, with names and sizes of the files that it was made from

The summary says nothing that the files do not: one that is lost, damaged, or of other files is passed over and made again.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

FORMAT = 1
SUMMARY = "attempts.json"
Record = dict[str, Any]
Files = list[list[Any]]
"""[name, bytes] of each file of records, sorted."""


def records(folder: Path, task: int | None = None) -> list[Record]:
    """The records (of one task) of the submission in `folder`, oldest first, each with its task and restart."""
    names = [name for name, _ in files(folder)]
    return _read(folder, names if task is None else [name for name in names if name.startswith(f"{task}.")])


def summed_up(folder: Path) -> list[Record]:
    """The records of a closed submission; the summary is made where there is none, or a task that was thought dead wrote more."""
    now = files(folder)
    found = _summary(folder, now)
    if found is None:
        found = _read(folder, [name for name, _ in now])
        if found:
            _keep(folder, now, found)
    return found


def files(folder: Path) -> Files:
    """The files of records as they are now."""
    with suppress(FileNotFoundError), os.scandir(folder / "attempts") as entries:
        return sorted([entry.name, entry.stat().st_size] for entry in entries if entry.name.endswith(".jsonl"))
    return []


def _summary(folder: Path, now: Files) -> list[Record] | None:
    """What it says, if it was made from these files."""
    try:
        said = json.loads((folder / SUMMARY).read_text())
        return said["records"] if (said["format"], said["files"]) == (FORMAT, now) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(folder: Path, made_from: Files, found: list[Record]) -> None:
    """Swapped by rename; who may not write reads the files, and so does everybody until somebody may."""
    temporary = folder / f".{SUMMARY}.{os.getpid()}"
    with suppress(OSError):
        try:
            temporary.write_text(json.dumps({"format": FORMAT, "files": made_from, "records": found}))
            temporary.replace(folder / SUMMARY)
        finally:
            temporary.unlink(missing_ok=True)


def _read(folder: Path, names: Iterable[str]) -> list[Record]:
    found = []
    for name in names:
        of, restart = map(int, name.split(".")[:2])
        found += [{**record, "task": of, "restart": restart} for record in _lines(folder / "attempts" / name)]
    return sorted(found, key=lambda record: record["at"])


def _lines(file: Path) -> Iterator[Record]:
    """A torn line is passed over."""
    for line in file.read_text(errors="replace").splitlines():
        with suppress(ValueError):
            yield json.loads(line)
