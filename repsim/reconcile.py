"""Owns the step from a sweep to work under way: look at what is there, plan the difference, send it or do it here."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from repsim import (
    accounting,
    cards,
    cluster,
    code,
    cost,
    dropped,
    hardware,
    intents,
    limits,
    local,
    lock,
    notify,
    occupancy,
    planfile,
    sending,
    state,
    store,
    submission,
    traces,
)
from repsim import emit as emitting
from repsim import plan as planning
from repsim.dropped import Dropped
from repsim.errors import InputError
from repsim.job import NETWORK, RunId
from repsim.measured import Rate
from repsim.pieces import cut
from repsim.plan import Limits, Plan, Stage
from repsim.profile import Profile
from repsim.progress import Listen
from repsim.project import Project
from repsim.sending import Order, Sending, Sent
from repsim.state import Need, Standing, State
from repsim.submission import Submission
from repsim.sweep.expand import IMPORT, Run, Sweep

NEVER = "DependencyNeverSatisfied"
"""Why a task waits for ever; it is cancelled, and what it holds is sent again."""


def standings(
    project: Project,
    sweep: Sweep,
    ask_queue: Callable[[], list[cluster.Task]] | None = None,
    known: Sequence[Submission] | None = None,
) -> dict[RunId, Standing]:
    """The state of every run of the sweep, networks included; `known` submissions need not be read again."""
    needs = [Need(run.id, run.job, run.inputs) for run in sweep.all_runs]
    known = submission.every(project.submissions) if known is None else known
    left = traces.read(known, ask_queue or partial(queue, project), accounting.Accounts(project.cache))
    found = state.survey(needs, sweep.jobs, project.store, project.artefacts, left)
    store.remember(project.store, sweep.jobs.values())
    return found


def refuse_lost_imports(project: Project, sweep: Sweep, states: Mapping[RunId, Standing]) -> None:
    """InputError for an imported network whose file is gone: unlike a trained one it cannot be made again here."""
    for run in sweep.networks:
        if run.job == IMPORT and states[run.id].state in (State.NEW, State.FAILED):
            said = run.config.model_dump()
            keys = ("arch", "width", "depth", "dataset", "name", "normalise")
            words = " ".join(f"--{key} {said[key]}" for key in keys if said.get(key) is not None)
            raise InputError(
                f"the imported network is gone: {run.labels['arch']}, seed {run.labels['seed']}",
                where=str(project.artefacts / run.id / NETWORK),
                do=f"put the file back, or import it again: repsim zoo import PATH {words}",
            )


def make_plan(
    project: Project, sweep: Sweep, states: Mapping[RunId, Standing], profile: Profile, device: str, also: tuple[State, ...] = ()
) -> Plan:
    """What is missing, as groups and tasks that suit the profile, with measured cost where there is any."""
    startup_s = _startup_s(project, profile)
    longest = 60 * profile.shortest_min - profile.signal_s - startup_s  # here nothing ends a task
    task_s = max(1.0, longest) if profile.cluster == "slurm" else math.inf
    limits = Limits(min(60 * profile.pack_min, task_s), profile.min_tasks, profile.gpus_per_task, task_s, startup_s)
    return planning.make(sweep, states, limits, weigher(project, sweep, device, card_of(profile, device)), also)


def _startup_s(project: Project, profile: Profile) -> float:
    """Seconds that a task takes to start: as Slurm's tasks did lately, else a guess."""
    seen = occupancy.startup(submission.every(project.submissions)) if profile.cluster == "slurm" else None
    return seen.seconds if seen else planning.STARTUP_S


def card_of(profile: Profile, device: str) -> str | None:
    """The card that tasks will compute on, as far as that is known: the one that is here, or that the profile asks for."""
    if not device.startswith("cuda"):
        return None
    return next(iter(hardware.gpus()), None) if profile.cluster == "local" else getattr(profile, "gpu", None)


def weigher(project: Project, sweep: Sweep, device: str, card: str | None = None) -> planning.Weigh:
    """How to size runs of one group of the sweep, and their rate: measured where there is any, on `card` where it is known."""
    rates = cost.rates(project.store, sweep.jobs, device, card, project.cache)

    def weigh(runs: Sequence[Run]) -> list[tuple[float, Rate]]:
        works = cost.works(sweep.jobs[runs[0].job], [run.config for run in runs], sweep.catalog, device)
        return [(work, rates(run.job, run.config)) for run, work in zip(runs, works, strict=True)]

    return weigh


def submit(
    project: Project,
    sweep: Sweep,
    plan: Plan,
    profile: Profile,
    states: Mapping[RunId, Standing],
    chain: bool,
    tell: sending.Tell = lambda words: None,
) -> list[Sent]:
    """Send the stages of `plan` as job arrays; with `chain` also what waits for networks, behind them. `tell` hears what is not."""
    store.set_bad_aside(project.store, sweep.jobs.values())
    allowed = limits.of_cluster(profile)
    frozen = code.identify(project)
    pieces, left = cut(stages_of(plan, chain), profile, allowed, cards.speed(project.store, sweep.jobs, profile.parts))
    for words in [*allowed.words, *([f"{left:,} tasks are left for later: Slurm takes no more of yours now"] if left else [])]:
        tell(words)
    return Sending(Order(project, sweep, states, frozen, code.freeze(project, frozen), tell)).send(pieces)


def emit(
    project: Project, sweep: Sweep, plan: Plan, profile: Profile, states: Mapping[RunId, Standing], chain: bool, folder: Path
) -> list[Path]:
    """What `submit` would send as files in `folder`: its batch scripts. Needs no Slurm; nothing is sent, and no code is frozen."""
    frozen = code.identify(project)
    speed = cards.speed(project.store, sweep.jobs, profile.parts)
    pieces, _ = cut(stages_of(plan, chain), profile, limits.WITHOUT_SLURM, speed)
    order = Order(project, sweep, states, frozen, project.code / frozen.code, lambda words: None)
    return emitting.write(order, pieces, folder)


def find_dropped(project: Project, sweep: Sweep) -> Dropped:
    """What is queued or running of the sweep though its file names it no longer; nothing for a sweep without a file."""
    return dropped.find(sweep, submission.every(project.submissions), queue(project)) if sweep.path.is_file() else Dropped()


def stages_of(plan: Plan, chain: bool) -> list[Stage]:
    """The stages that one submit sends; what waits for networks only with `chain`."""
    return [stage for stage in plan.stages if stage.tasks and (stage.name != "later" or chain)]


def run_here(
    project: Project, sweep: Sweep, plan: Plan, device: str, workers: int, listen: Listen, steps: int | None = None
) -> list[str]:
    """Compute the plan on this machine, networks first; the outcome of each group. Ctrl-C stops at the next step."""
    store.set_bad_aside(project.store, sweep.jobs.values())
    frozen = code.identify(project)

    def record(stage: Stage) -> Submission:
        return planfile.record(project, sweep, stage, device, project.root, frozen, 0)

    return local.compute(plan, device, workers, record, listen, steps)


def close_finished(project: Project) -> None:
    """Settle what was sent without an answer, and mark submissions of which nothing is queued or running any more."""
    known = [one for one in submission.every(project.submissions) if not one.closed]
    seen = queue(project) if any("pid" not in (one.sent or {}) for one in known) else []
    cluster.cancel([task.element for task in seen if task.reason == NEVER and task.state in cluster.ALIVE])
    for one in known:
        mine = [task for task in seen if task.name == one.name]
        if one.withdrawn:
            intents.late(one, mine)
        elif one.sent is None and not (intents.adopted(one, mine) or intents.settled(one)):
            continue
        elif not (any(task.state in cluster.ALIVE for task in mine) or _alive_here(one)):
            one.close({task.index: task.state for task in mine})
            notify.tell(one)


def _alive_here(one: Submission) -> bool:
    how = one.sent or {}
    return "pid" in how and submission.local_alive(how)


def tasks_of(project: Project, states: Mapping[RunId, Standing], wanted: set[RunId]) -> list[cluster.Task]:
    """The array elements that hold queued or running runs among `wanted`; a run on this machine is none."""
    elements = {(s.submission, s.task) for run, s in states.items() if run in wanted and s.state in (State.RUNNING, State.PENDING)}
    mine = {task for task in queue(project) if (task.name, task.index) in elements and task.state in cluster.ALIVE}
    return sorted(mine, key=lambda task: task.element)


def locked(project: Project) -> AbstractContextManager[None]:
    """One `submit` at a time per project: two people who submit at once must not both see the same run as missing."""
    return lock.held(project.submissions)


def queue(project: Project) -> list[cluster.Task]:
    """The tasks of every submission that may still be alive, whoever sent it."""
    return cluster.queue([one.name for one in submission.every(project.submissions) if not one.closed])
