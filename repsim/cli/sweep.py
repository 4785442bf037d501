"""Owns `repsim sweep …`: plan, submit, run, dry-run, status, cancel, retry; the rest of it is in cli.seeing."""

from functools import partial
from typing import Annotated, Any

import typer

from repsim import cluster, cost, hardware, local, reconcile
from repsim import plan as planning
from repsim.cli import dry, here, seeing, send
from repsim.cli.output import Json, ProfileOption, SpecArgument, Yes, confirm, project_of, say, show, spec_path
from repsim.cluster import Profile
from repsim.errors import ClusterError, UserError
from repsim.project import Project
from repsim.report import plans
from repsim.report.plans import number
from repsim.state import State
from repsim.sweep.expand import Sweep, open_sweep
from repsim.sweep.filters import matcher

app = typer.Typer(no_args_is_help=True, help="Plan, send, watch and steer a sweep.")
app.command("queue")(seeing.queue)
app.command("logs")(seeing.logs)
Filters = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]…", help="Only runs whose fields match, as in stitcher=linear.")
]


@app.command()
def plan(spec: SpecArgument, profile: ProfileOption = None, json: Json = False) -> None:
    """Show what would run: ids, groups, tasks and hours. Sends and writes nothing."""
    project, sweep = _open(spec)
    name, chosen = send.profile_of(project, sweep, profile)
    _show_plan(project, sweep, chosen, name, json, ask=chosen.cluster == "slurm")


@app.command()
def submit(
    spec: SpecArgument,
    profile: ProfileOption = None,
    yes: Yes = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop; needs no Slurm.")] = False,
    chain: Annotated[bool, typer.Option("--chain", help="Send stitches of untrained networks too, behind the trainings.")] = False,
    json: Json = False,
) -> None:
    """Send to Slurm what is missing, and only that; safe to call again at any time."""
    project, sweep = _open(spec)
    name, chosen = send.profile_of(project, sweep, profile)
    if dry_run:
        _show_plan(project, sweep, chosen, name, json, ask=False)
        return
    send.must_be_slurm(chosen, name)
    with reconcile.locked(project):
        show(json, *send.submit(project, sweep, chosen, name, yes, chain, ()))


@app.command()
def run(
    spec: SpecArgument,
    profile: ProfileOption = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N runs that are missing.")] = None,
    device: Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda or mps.")] = None,
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Processes; by default one per core on a CPU.")] = None,
    json: Json = False,
) -> None:
    """Compute what is missing here, on this machine's GPU or CPU. Ctrl-C stops at the next step; run it again to go on."""
    project, sweep = _open(spec)
    chosen = Profile(cluster="local") if profile is None else send.profile_of(project, sweep, profile)[1]
    picked = hardware.pick_device(device or chosen.device)
    here.run(project, sweep, picked, local.workers_for(picked, workers), chosen, limit, json, ())


@app.command("dry-run")
def dry_run(
    spec: SpecArgument,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps of each loop.")] = 3,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")] = "auto",
    json: Json = False,
) -> None:
    """Try the first run of every case, a few steps each, in a throwaway store; prints seconds, memory, and the hours of all."""
    project, sweep = _open(spec)
    dry.run(project, sweep, hardware.pick_device(device), steps, json)


@app.command()
def status(
    spec: Annotated[str | None, typer.Argument(metavar="[SPEC]", help="A sweep; without it, all that were sent.")] = None,
    json: Json = False,
) -> None:
    """Show how far a sweep is: counts, grid, live tasks, hours, failures."""
    project = project_of(spec)
    if spec:
        shown = _status(project, open_sweep(spec_path(spec, project), project))
        show(json, shown, plans.status_text(shown))
        return
    found, errors = _statuses(project)
    text = "\n".join([*map(plans.status_text, found), *errors]) or "nothing was sent or run yet"
    show(json, {"sweeps": found, "unreadable": errors}, text)


@app.command()
def cancel(spec: SpecArgument, filters: Filters = None, yes: Yes = False, json: Json = False) -> None:
    """Cancel the tasks that hold queued or running runs of the sweep; results stay."""
    project, sweep = _open(spec)
    wanted = {run.id for run in sweep.all_runs if matcher(filters or [], sweep)(run)}
    confirm(f"Cancel every task of {sweep.name} that holds one of {number(len(wanted), 'run')}?", yes)
    elements = reconcile.cancel(project, sweep, wanted)
    show(
        json,
        {"cancelled": elements},
        f"cancelled {number(len(elements), 'task')}: {' '.join(elements)}" if elements else "nothing was queued or running",
    )


@app.command()
def retry(
    spec: SpecArgument,
    filters: Filters = None,
    profile: ProfileOption = None,
    compute_here: Annotated[bool, typer.Option("--here", help="Compute them on this machine.")] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Send failed runs again, and only those (submit leaves them alone)."""
    project, sweep = _open(spec)
    part = planning.failed_only(sweep, reconcile.standings(project, sweep), matcher(filters or [], sweep))
    if compute_here:
        picked = hardware.pick_device("auto")
        here.run(project, part, picked, local.workers_for(picked, None), Profile(cluster="local"), None, json, (State.FAILED,))
        return
    name, chosen = send.profile_of(project, sweep, profile)
    with reconcile.locked(project):
        show(json, *send.submit(project, part, chosen, name, yes, False, (State.FAILED,)))


def _statuses(project: Project) -> tuple[list[dict[str, Any]], list[str]]:
    """The status of every sweep that was sent; what is wrong with a file that no longer loads stops no other."""
    found, errors = [], []
    for path in here.known_sweeps(project):
        try:
            found.append(_status(project, open_sweep(path, project)))
        except UserError as error:
            errors.append(error)
    if errors and not found:
        raise errors[0]
    return found, list(map(str, errors))


def _status(project: Project, sweep: Sweep) -> dict[str, Any]:
    tasks: list[cluster.Task] = []

    def ask() -> list[cluster.Task]:
        tasks.extend(_ask_or_warn(project))
        return tasks

    states = reconcile.standings(project, sweep, ask)
    mine = {s.submission for s in states.values()}
    live = [task for task in tasks if task.name in mine and task.state in cluster.ALIVE]
    chosen = send.profile_of(project, sweep, None)[1]
    left = reconcile.make_plan(project, sweep, states, chosen, send.device_of(chosen), (State.RUNNING, State.PENDING))
    used = cost.hours_used(project.store, sweep.jobs, {run.id for run in sweep.all_runs})
    return plans.status_json(sweep, states, live, used, left.hours())


def _ask_or_warn(project: Project) -> list[cluster.Task]:
    """The queue; where it cannot be asked, files alone speak, and that is said."""
    try:
        return reconcile.queue(project)
    except ClusterError as error:
        say(f"repsim: the queue is unknown, so queued runs are shown as new. {error}")
        return []


def _open(spec: str) -> tuple[Project, Sweep]:
    project = project_of(spec)
    return project, open_sweep(spec_path(spec, project), project)


def _show_plan(project: Project, sweep: Sweep, profile: Profile, name: str, json: bool, ask: bool) -> None:
    states = reconcile.standings(project, sweep, partial(_ask_or_warn, project) if ask else lambda: [])
    reconcile.refuse_lost_imports(project, sweep, states)
    made = reconcile.make_plan(project, sweep, states, profile, send.device_of(profile))
    show(json, plans.plan_json(made, sweep, name, states), plans.plan_text(made, sweep, name, states))
