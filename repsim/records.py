"""Owns the attempt records of a submission: the lines that tasks append, and one file of them all once it is over.

results/submissions/NAME/attempts/T.R.X.jsonl  what a process of restart R of task T did; each file has one writer
                         attempts.json         {files, records}: a thousand small files need not be opened again and again
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER, FOLDED = "attempts", "attempts.json"
Record = dict[str, Any]


def read(folder: Path, task: int | None = None) -> list[Record]:
    """All records (of one task), oldest first, each with its task and restart; a torn line is passed over.

    Those of a task keep the order of its restarts, whatever the clocks of their nodes say.
    """
    names, found = _folded(folder)
    for file in _files(folder, task):
        if file.name not in names:
            of, restart = map(int, file.name.split(".")[:2])
            found += [{**record, "task": of, "restart": restart} for record in _lines(file)]
    return _in_order([record for record in found if task is None or record["task"] == task])


def folded(folder: Path) -> str:
    """What `attempts.json` is to hold. What a process that goes on all the same appends later is not read: its rows count."""
    return json.dumps({"files": [file.name for file in _files(folder)], "records": read(folder)})


def spare(folder: Path) -> list[Path]:
    """Files whose lines are kept in the one file too."""
    names, _ = _folded(folder)
    return [file for file in _files(folder) if file.name in names]


def _files(folder: Path, task: int | None = None) -> list[Path]:
    return sorted((folder / FOLDER).glob("*.jsonl" if task is None else f"{task}.*.jsonl"))


def _folded(folder: Path) -> tuple[set[str], list[Record]]:
    """Names of the files that were folded, and their records; none where that cannot be read."""
    try:
        found = json.loads((folder / FOLDED).read_text())
        return set(found["files"]), list(found["records"])
    except (OSError, ValueError, TypeError, KeyError):
        return set(), []


def _in_order(records: list[Record]) -> list[Record]:
    """Oldest first. A record counts as no older than any of an earlier restart of its task, which the clock of its node may say."""
    newest: dict[int, float] = {}
    keyed = []
    for record in sorted(records, key=lambda record: (record["restart"], record["at"])):
        newest[record["task"]] = max(record["at"], newest.get(record["task"], -float("inf")))
        keyed.append((newest[record["task"]], record))
    return [record for _, record in sorted(keyed, key=lambda pair: pair[0])]


def _lines(file: Path) -> Iterator[Record]:
    for line in file.read_text(errors="replace").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue
