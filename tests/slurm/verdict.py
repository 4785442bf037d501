"""Owns the verdict on a chaos: nothing lost, nothing twice, nothing computed again, and the tables of an undisturbed sweep."""

import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import noted
import toy
from ground import PATHS, SWEEP, make_project
from people import PERSON

from repsim import schema, store
from repsim.project import Project
from repsim.sweep.expand import Sweep, open_sweep

TABLES = ("csv", "markdown")
RACE_S = 1.0
"""A run that begins within this time after its row was published by another copy of its task was looked up before that."""


@dataclass
class Ledger:
    """When the row of each run was first seen in the store, as another reader sees it."""

    project: Project
    seen: dict[Path, float] = field(default_factory=dict)
    stored: dict[str, float] = field(default_factory=dict)
    unreadable: set[Path] = field(default_factory=set)

    def look(self) -> None:
        """Read the parts that are new; a part appears as a whole or not at all."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        for part in [p for p in self.project.store.glob("job=*/dataset=*/*.parquet") if not p.name.startswith(".")]:
            try:
                at = part.stat().st_ctime
                ids = (
                    []
                    if self.seen.get(part) == at
                    else pq.read_table(part, columns=["run_id"], partitioning=None)["run_id"].to_pylist()
                )
            except FileNotFoundError:
                continue  # merged just now
            except (pa.ArrowException, OSError):
                self.unreadable.add(part)
                continue
            self.seen[part] = at
            for run in ids:
                self.stored.setdefault(run, at)


@dataclass(frozen=True)
class Verdict:
    """What went wrong, in words; nothing if nothing did. `facts` are numbers worth printing."""

    wrong: list[str]
    facts: dict[str, int]


def judge(project: Project, journal: Path, ledger: Ledger, undisturbed: dict[str, str]) -> Verdict:
    """Compare what is left after the chaos with what should be."""
    sweep = opened(project)
    ledger.look()
    there = {name: store.read(project.store, job).to_pylist() for name, job in sweep.jobs.items()}
    ids = [row["run_id"] for rows in there.values() for row in rows]
    expected = {run.id for run in sweep.all_runs}
    again, races = recomputed(journal, ledger.stored)
    disturbed = tables(project)
    checks = {
        f"{len(expected - set(ids))} runs have no row": expected - set(ids),
        f"{len(set(ledger.stored) - set(ids))} rows were there once and are lost": set(ledger.stored) - set(ids),
        f"{len(ids) - len(set(ids))} rows are there twice": len(ids) - len(set(ids)),
        f"parts that cannot be read: {sorted(map(str, ledger.unreadable))}": ledger.unreadable,
        f"{len(again)} runs were computed again after their row was stored: {again[:3]}": again,
        **{f"{name} is not that of an undisturbed sweep": disturbed[name] != undisturbed[name] for name in undisturbed},
    }
    facts = {"runs": len(expected), "computed": sum(map(len, begun(journal).values())), "races": races}
    return Verdict([words for words, bad in checks.items() if bad], facts)


def begun(journal: Path) -> dict[str, list[float]]:
    """When each run was begun."""
    found: dict[str, list[float]] = {}
    for line in journal.read_text().splitlines():
        at, run, *_ = line.split()
        found.setdefault(run, []).append(float(at))
    return found


def recomputed(journal: Path, stored: dict[str, float]) -> tuple[list[str], int]:
    """Runs begun after their row was stored, with how much later; and how often two copies of a task only just met."""
    late = [
        (run, at - stored[run]) for run, starts in begun(journal).items() for at in starts if run in stored and at > stored[run]
    ]
    again = [f"{run} {seconds:.1f} s later" for run, seconds in late if seconds > RACE_S]
    return again, len(late) - len(again)


def undisturbed(folder: Path, last: int) -> dict[str, str]:
    """The tables of the same sweep, computed here in one process, where nothing happens."""
    (folder / "calm").mkdir()
    project = make_project(folder / "undisturbed", last, 0, folder / "calm")
    with patch.dict(os.environ, {"CHAOS_FOLDER": str(folder / "calm"), "CHAOS_PACE": "0"}):
        toy.run(project, opened(project))
        toy.run(project, opened(project))
    assert set(begun(folder / "calm" / noted.JOURNAL)) == {run.id for run in opened(project).all_runs}
    return tables(project)


def opened(project: Project) -> Sweep:
    """The sweep, its layers known without torch."""
    with patch("repsim.catalog._ask", toy.sheet):
        return open_sweep(project.sweeps / f"{SWEEP}.yaml", project)


def tables(project: Project) -> dict[str, str]:
    """The final tables as people print them, and the aggregate without its provenance, by name."""
    shown = {f"the table as {form}": _said(project, "results", "table", SWEEP, "--format", form) for form in TABLES}
    _said(project, "results", "aggregate", SWEEP)
    return {**shown, "the aggregate": _science(project)}


def _science(project: Project) -> str:
    """The columns that a job measured or was asked for, sorted by run; a run that is there twice is seen."""
    import pyarrow.parquet as pq

    table = pq.read_table(project.results / "aggregate" / f"{SWEEP}.parquet")
    names = [name for name in table.column_names if name not in schema.Provenance.model_fields]
    rows = sorted(table.select(names).to_pylist(), key=lambda row: row["run_id"])
    assert Counter(row["run_id"] for row in rows).most_common(1)[0][1] == 1, "a run is twice in the aggregate"
    return "\n".join(map(str, rows))


def _said(project: Project, *words: str) -> str:
    line, environment = [sys.executable, "-c", PERSON, *words], os.environ | {"PYTHONPATH": PATHS}
    done = subprocess.run(line, cwd=project.root, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


def processes_of(folder: Path, seconds: float = 10) -> list[str]:
    """Command lines of processes that still name the folder once it was taken down."""
    end = time.monotonic() + seconds
    while (found := subprocess.run(["pgrep", "-af", str(folder)], capture_output=True, text=True).stdout.splitlines()) and (
        time.monotonic() < end
    ):
        time.sleep(0.2)
    return found
