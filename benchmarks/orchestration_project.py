"""Owns the projects that orchestration is timed on: real jobs, one real sweep, as many rows and submissions as wanted."""

import argparse
import json
import os
import platform
import random
import shutil
import time
from dataclasses import replace
from pathlib import Path

from repsim import planfile, reconcile, store, submission, written
from repsim.code import Code
from repsim.job import NETWORK
from repsim.profile import load_profile
from repsim.project import Project
from repsim.state import Standing, State
from repsim.submission import Submission
from repsim.sweep.expand import Run, Sweep, open_sweep

ROOT = Path(__file__).parents[1]
SWEEP = """
job: stitch
profile: {profile}
zoo: {{arch: mcnn, width: 8, dataset: digits, recipe: quick, seeds: 0..{last}}}
pairs: ordered
layers: [relu, bn]
cases:
  linear:   {{stitcher: linear, init: [random, ps_inv]}}
  matched:  {{stitcher: linear, init: matched, epochs: 0}}
  birkhoff: {{stitcher: birkhoff, optimizer: sgd, lr: 0.1, momentum: 0.9}}
  lowrank:  {{stitcher: lowrank, rank: 4, init: matched}}
grid: {{seed: 0..{seeds}}}
fixed: {{epochs: 2, validation_images: 200, lr: 1.0e-3}}
"""
PART = 100_000  # rows of a part, as compaction leaves them
OTHER = "other"


def make(folder: Path, networks: int, seeds: int, profile: str = "testcluster") -> Project:
    """A project in `folder` with the sweep `big`: networks·(networks − 1) pairs at 8 layers, 5 stitchers, so many seeds."""
    for name in ("jobs", "slurm"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "testcluster"))
    (folder / "sweeps").mkdir()
    (folder / "sweeps" / "big.yaml").write_text(SWEEP.format(profile=profile, last=networks - 1, seeds=seeds - 1))
    return Project(folder)


def full(folder: Path, args: argparse.Namespace) -> None:
    """The large project: three in five runs stored, beside rows of other sweeps."""
    project = make(folder, args.networks, args.seeds)
    sweep = opened(project)
    done = 3 * len(sweep.runs) // 5
    train(project, sweep)
    submit(project, sweep, args.submissions, done)
    fill(project, sweep, done, args.rows)


def opened(project: Project) -> Sweep:
    """The sweep, expanded."""
    return open_sweep(project.sweeps / "big.yaml", project)


def train(project: Project, sweep: Sweep) -> None:
    """Say that all networks are there: a row each, and a file that nobody reads."""
    publish(project, sweep, "train", [run.id for run in sweep.networks], sweep.networks, "networks")
    for run in sweep.networks:
        (project.artefacts / run.id).mkdir(parents=True)
        (project.artefacts / run.id / NETWORK).touch()


def fill(project: Project, sweep: Sweep, done: int, rows: int) -> None:
    """Store the first `done` runs, and rows of other sweeps until there are so many."""
    drawn = random.Random(0)
    ids = [run.id for run in sweep.runs[:done]] + [f"{drawn.getrandbits(48):012x}" for _ in range(rows - done)]
    for start in range(0, rows, PART):
        publish(project, sweep, "stitch", ids[start : start + PART], sweep.runs, f"part{start}")


def submit(project: Project, sweep: Sweep, count: int, done: int) -> None:
    """So many submissions of equally many runs, over with all that they should do but what is not among the first `done` runs."""
    states = {run.id: Standing(State.NEW) for run in sweep.all_runs}
    profile, stored = load_profile(project.profiles, "testcluster"), {run.id for run in sweep.runs[:done]}
    share = -(-len(sweep.runs) // count)
    for start in range(0, len(sweep.runs), share):
        part = replace(sweep, networks=(), runs=sweep.runs[start : start + share])
        (stage,) = [one for one in reconcile.make_plan(project, part, states, profile, "cuda").stages if one.tasks]
        one = planfile.record(project, sweep, stage, "cpu", project.root, Code(None, None, "0"), 60)
        _end(one, stage.tasks, stored)


def _end(one: Submission, tasks: tuple, stored: set[str]) -> None:
    """Records of tasks that came to an end, one file each; a group with a run that is not stored failed."""
    one.mark_sent(job_id="1")
    at = time.time() - DAY_S
    for index, task in enumerate(tasks):
        records = [{"at": at, "event": "begun", "host": "n1", "slurm_job": f"1_{index}"}]
        for place, group in enumerate(task):
            whole = all(run.id in stored for run in group.runs)
            how = {"outcome": "done", "cause": None, "message": None} if whole else {"outcome": "failed", **BAD}
            records.append({"at": at + place, "event": "start", "group": group.id, "host": "n1", "slurm_job": f"1_{index}"})
            records.append({"at": at + place + 0.9, "event": "end", "group": group.id, **how})
        records.append({"at": at + len(task), "event": "left", "why": None})
        (one.folder / "attempts" / f"{index}.0.0000.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records))
    one.close()


def reopen(project: Project) -> None:
    """Let the newest submission be one whose process lives, namely this one; all others stay closed."""
    newest = submission.every(project.submissions)[-1]
    (newest.folder / "closed").unlink(missing_ok=True)
    newest.mark_sent(host=platform.node(), pid=os.getpid())


DAY_S = 86_400.0
BAD = {"cause": "code", "message": "ValueError: no such thing"}


def publish(project: Project, sweep: Sweep, name: str, ids: list[str], like: tuple[Run, ...], part: str) -> None:
    """One part of rows with these ids: fields of runs of the sweep, and every other column as its type begins."""
    import pyarrow as pa

    job = sweep.jobs[name]
    schema = store.schema_of(job)
    fields = [run.config.model_dump() for run in like[: min(len(like), 1000)]]
    first = {pa.string(): "ok", pa.float64(): 0.5, pa.int64(): 1, pa.bool_(): True}
    said = {"run_id": ids, "device": "cpu", "job": name, "submission": OTHER, "started": time.strftime("%FT%T+00:00")}
    columns = []
    for field in schema:
        if field.name in fields[0]:
            values = [fields[i % len(fields)][field.name] for i in range(len(ids))]
        else:
            value = said.get(field.name, first.get(field.type, [0.5]))
            values = value if field.name == "run_id" else [value] * len(ids)
        columns.append(pa.array(values, field.type))
    folder = project.store / f"job={name}" / "dataset=digits"
    folder.mkdir(parents=True, exist_ok=True)
    written.write_part(pa.table(columns, schema), folder / f"{part}.parquet")
