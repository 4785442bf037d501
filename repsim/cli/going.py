"""Owns `repsim sweep plan`, `explain`, `submit`, `run` and `dry-run`: from a sweep file to work under way."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from repsim import budget as budgets
from repsim import hardware, local, reconcile
from repsim.cli import again, dry, here, send
from repsim.cli.output import Json, ProfileOption, SpecArgument, Yes, project_of, say, show, spec_path
from repsim.errors import SpecError
from repsim.profile import Profile, device_of
from repsim.project import Project
from repsim.queued import Queue
from repsim.report import plans, points
from repsim.sweep import explain as explaining
from repsim.sweep.expand import Sweep, open_sweep


def plan(spec: SpecArgument, profile: ProfileOption = None, json: Json = False) -> None:
    """Show what would run: ids, groups, tasks and hours. Sends and writes nothing."""
    project, sweep = _open(spec)
    name, chosen = send.profile_of(project, sweep, profile)
    _show_plan(project, sweep, chosen, name, json, chosen.cluster == "slurm")


def explain(
    spec: SpecArgument,
    words: Annotated[list[str], typer.Argument(metavar="RUN | KEY=VALUE…", help="An id or its beginning, or fields of a point.")],
    json: Json = False,
) -> None:
    """Say which block of the file made a run and each of its fields, or took it out."""
    project = project_of(spec)
    found = explaining.why(spec_path(spec, project), project, words)
    show(json, asdict(found), points.why_text(found))


def submit(
    spec: SpecArgument,
    profile: ProfileOption = None,
    yes: Yes = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop; needs no Slurm.")] = False,
    chain: Annotated[bool, typer.Option("--chain", help="Send stitches of untrained networks too, behind the trainings.")] = False,
    budget: Annotated[
        float | None, typer.Option("--budget", metavar="HOURS", help="Send nothing if the sweep would cost more.")
    ] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Cancel what is under way though the file no longer names it.")] = False,
    emit: Annotated[
        Path | None, typer.Option("--emit", metavar="DIR", help="Write scripts and plans there, to be read; needs no Slurm.")
    ] = None,
    json: Json = False,
) -> None:
    """Send to Slurm what is missing, and only that; safe to call again at any time."""
    project, sweep = _open(spec)
    name, chosen = send.profile_of(project, sweep, profile)
    hours = budgets.checked(budget)
    if dry_run:
        _show_plan(project, sweep, chosen, name, json, False, hours)
        return
    send.must_be_slurm(chosen, name)
    if emit is not None:
        show(json, *send.emit(project, sweep, chosen, name, chain, emit))
        return
    with reconcile.locked(project):
        show(json, *send.submit(project, sweep, chosen, name, yes, chain, (), hours, prune))


def run(
    spec: SpecArgument,
    profile: ProfileOption = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N runs that are missing.")] = None,
    device: Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda or mps.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Processes; by default one per card or core.")] = None,
    only: Annotated[str | None, typer.Option("--only", metavar="RUN", help="This run alone, even if it is stored.")] = None,
    debug: Annotated[bool, typer.Option("--debug", help="With --only: a debugger where it fails.")] = False,
    json: Json = False,
) -> None:
    """Compute what is missing here, on this machine's GPUs or CPU. Ctrl-C stops at the next step; run it again to go on."""
    if debug and only is None:
        raise SpecError("one run can be debugged at a time", where="--debug", do="name it with --only")
    project, sweep = _open(spec)
    chosen = Profile(cluster="local") if profile is None else send.profile_of(project, sweep, profile)[1]
    picked = hardware.pick_device(device or chosen.device)
    if only is not None:
        again.run(project, sweep, only, picked, debug, json)
        return
    here.run(project, sweep, picked, local.workers_for(picked, workers), chosen, limit, json, ())


def dry_run(
    spec: SpecArgument,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps of each loop.")] = 3,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")] = "auto",
    json: Json = False,
) -> None:
    """Try the first run of every case, a few steps each, in a throwaway store; prints seconds, memory, and the hours of all."""
    project, sweep = _open(spec)
    dry.run(project, sweep, hardware.pick_device(device), steps, json)


def _open(spec: str) -> tuple[Project, Sweep]:
    project = project_of(spec)
    return project, open_sweep(spec_path(spec, project), project)


def _show_plan(
    project: Project, sweep: Sweep, profile: Profile, name: str, json: bool, ask: bool, hours: float | None = None
) -> None:
    queue = Queue(project)
    states = reconcile.standings(project, sweep, queue if ask else lambda: [])
    if queue.unknown:
        say(f"repsim: the queue is unknown, so that what was sent counts as queued or running. {queue.unknown}")
    reconcile.refuse_lost_imports(project, sweep, states)
    made = reconcile.make_plan(project, sweep, states, profile, device_of(profile))
    allowed = budgets.of(sweep, profile, name, hours)
    shown = (made, sweep, name, states, allowed and allowed.hours)
    show(json, plans.plan_json(*shown), plans.plan_text(*shown))
