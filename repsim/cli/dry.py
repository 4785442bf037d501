"""Owns trying things out: runs cut short in a throwaway store, what they take, and what the whole sweep would take at most.

The rates that they show are kept for plans (`repsim.tried`); nothing else is.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from repsim import cost, measured, reconcile, store, tried
from repsim import plan as planning
from repsim.cli import here
from repsim.cli.output import show
from repsim.job import NETWORK, Job
from repsim.pace import Pace
from repsim.plan import Group, Plan
from repsim.profile import Profile
from repsim.project import Project
from repsim.report.counts import number
from repsim.sweep.expand import Run, Sweep

KEPT = "epoch_*.pt"  # what a training keeps beside the network that counts
Kind = tuple[str | None, str | None]
"""Case and architecture."""


def run(project: Project, sweep: Sweep, device: str, steps: int, json: bool) -> None:
    """The first run of every case and kind of network, `steps` steps of each loop, in a throwaway store; seconds and memory."""
    firsts: dict[Kind, str] = {}
    for one in sweep.runs:
        firsts.setdefault(_kind(one), one.id)
    part = planning.restricted(sweep, lambda run: run.id in set(firsts.values()))
    with throwaway_of(project, part) as throwaway:
        states = reconcile.standings(throwaway, part)
        reconcile.refuse_lost_imports(project, part, states)
        made = reconcile.make_plan(throwaway, part, states, Profile(cluster="local"), device)
        pace, clock = Pace(), time.monotonic()
        outcomes, reasons = here.compute(throwaway, part, made, device, 1, steps, pace.hear)
        rows = _rows(throwaway, part)
    keep_rates(project, sweep, made, pace, rows, device)
    data = {
        "sweep": sweep.name,
        "steps": steps,
        "seconds": round(time.monotonic() - clock, 2),
        "runs": rows,
        "failed": list(reasons),
        "hours_at_most": hours_at_most(sweep, made, pace, reconcile.weigher(throwaway, sweep, device)),
    }
    show(json, data, _text(data, sweep, device))
    if set(outcomes) - here.GOOD:
        raise typer.Exit(here.exit_code(outcomes, reasons))


@contextmanager
def throwaway_of(project: Project, part: Sweep) -> Iterator[Project]:
    """The project with a store of its own for a while, which has the networks that `part` needs and nothing else."""
    with tempfile.TemporaryDirectory(prefix="repsim-dry-run-") as folder:
        throwaway = replace(project, results_root=Path(folder))
        _lend_networks(project, throwaway, part)
        yield throwaway


def hours_at_most(sweep: Sweep, tried: Plan, pace: Pace, weigh: planning.Weigh) -> float | None:
    """Hours of all runs of the sweep in one process, without its trainings; None if a case was not measured.

    A kind of run costs what its first run cost per unit of work. Runs that are tried share fewer forward passes than those
    of the sweep will, and every batch is reckoned as slow as one of the slowest loop: hence at most. Groups that are reckoned as a
    whole take no less than that: what they do once, and for all pairs of images, is more than a few batches show.
    """
    least = cost.least(sweep.jobs[sweep.spec.job])
    rates: dict[Kind, float] = {}
    for group in (group for stage in tried.stages for group in stage.groups if group.job == sweep.spec.job):
        work, seconds = sum(group.works), pace.ceiling(group.id)
        rates |= {_kind(run): max(least, seconds / work) for run in group.runs if seconds is not None and work}
    if set(map(_kind, sweep.runs)) - rates.keys():
        return None
    whole = planning.grouped(sweep.runs, float("inf"), weigh)
    sized = ((run, work) for group in whole for run, work in zip(group.runs, group.works, strict=True))
    return round(sum(rates[_kind(run)] * work for run, work in sized) / 3600, 4)


def keep_rates(project: Project, sweep: Sweep, made: Plan, pace: Pace, rows: list[dict[str, Any]], device: str) -> None:
    """Write down what the runs that were tried say of others of their kind: plans reckon with it until rows are stored."""
    for (name, kind), groups in _by_kind(sweep, made).items():
        job = sweep.jobs[name]
        tried_ones = [one for group in groups if (one := _tried(job, kind, group, pace, rows, device))]
        if tried_ones:
            slowest = max(tried_ones, key=lambda one: one.seconds)
            once = min(one.once for one in tried_ones)  # the first group to be tried also waited for torch to be imported
            tried.keep(project.cache, job, replace(slowest, once=once, n=sum(one.n for one in tried_ones)))


def _by_kind(sweep: Sweep, made: Plan) -> dict[tuple[str, measured.Kind], list[Group]]:
    found: dict[tuple[str, measured.Kind], list[Group]] = {}
    for group in (group for stage in made.stages for group in stage.groups):
        found.setdefault((group.job, measured.kind_of(sweep.jobs[group.job], group.runs[0].config)), []).append(group)
    return found


def _tried(job: Job, kind: measured.Kind, group: Group, pace: Pace, rows: list[dict[str, Any]], device: str) -> tried.Trial | None:
    """What one group says; None where it failed, has no size, or reported no batches."""
    mine = [row for row in rows if row["group"] == group.id]
    work, seconds = sum(group.works), pace.ceiling(group.id)
    if not mine or not work or seconds is None:
        return None
    once = pace.once(group.id, sum(row["run_seconds"] for row in mine))
    return tried.Trial(kind, device.split(":")[0], mine[0]["gpu"], max(cost.least(job), seconds / work), once, len(mine))


def _kind(run: Run) -> Kind:
    """Runs of one case and architecture cost alike; the first network of a pair stands for both."""
    return run.labels.get("case"), run.labels.get("arch") or run.labels.get("front_arch")


def _lend_networks(project: Project, throwaway: Project, part: Sweep) -> None:
    """Lend the networks that exist, with the rows of those that the sweep could make, so that none is trained again."""
    lent = {network for run in part.runs for network in run.inputs if (project.artefacts / network / NETWORK).is_file()}
    for network in sorted(lent):
        _lend(project.artefacts / network, throwaway.artefacts / network)
    for one in (network for network in part.networks if network.id in lent):
        job = part.jobs[one.job]
        table = store.read(project.store, job, ids=[one.id])
        if len(table):
            store.publish(throwaway.store, job.name, one.dataset, one.id, table.to_pylist(), store.schema_of(job))


def _lend(network: Path, target: Path) -> None:
    """Copy a network; what its training kept on the way may be a lot, and is only pointed to."""
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(network / NETWORK, target / NETWORK)
    for kept in network.glob(KEPT):
        (target / kept.name).symlink_to(kept.resolve())


def _rows(throwaway: Project, part: Sweep) -> list[dict[str, Any]]:
    """Seconds and peak memory of each run that was tried."""
    cases = {one.id: one.slug for one in part.all_runs}
    found = []
    for job in part.jobs.values():
        table = store.read(throwaway.store, job, ["run_id", "job", "group", "gpu", "run_seconds", "peak_memory_gb"], cases)
        found += [{**row, "run": cases[row["run_id"]]} for row in table.to_pylist()]
    return found


def _text(data: dict[str, Any], sweep: Sweep, device: str) -> str:
    lines = [f"{row['run_seconds']:8.2f} s  {row['peak_memory_gb']:6.2f} GB  {row['job']:<8} {row['run']}" for row in data["runs"]]
    head = f"dry run of {data['sweep']} on {device}: {data['steps']} steps of each loop, {data['seconds']:.1f} s in all"
    return "\n".join([head, *lines, *_whole(data["hours_at_most"], sweep), *(f"failed: {reason}" for reason in data["failed"])])


def _whole(hours: float | None, sweep: Sweep) -> list[str]:
    if hours is None:
        return []
    trained = ", without its trainings" if sweep.networks else ""
    return [f"all {number(len(sweep.runs), 'run')}: at most about {hours:.2f} hours in one process like this{trained}"]
