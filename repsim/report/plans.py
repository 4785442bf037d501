"""Owns how plans and states are shown: as text for people, and as one plain object for --json."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from repsim import forecast
from repsim.cause import known, rule
from repsim.cluster import Task
from repsim.job import RunId
from repsim.plan import Plan, Stage
from repsim.report import grid
from repsim.report.counts import number
from repsim.signature import signature
from repsim.state import DIVERGED, DONE, LOST, Standing, State
from repsim.sweep import mirrored
from repsim.sweep.expand import Run, Sweep

SHOWN = list(State)
MAX_KINDS = 6
STAGES = {"networks": "networks to train", "runs": "runs", "later": "waiting for networks"}


def plan_json(
    plan: Plan, sweep: Sweep, profile: str, states: Mapping[RunId, Standing], budget: float | None = None
) -> dict[str, Any]:
    """The plan as an object."""
    return {
        "sweep": plan.sweep,
        "profile": profile,
        "runs": len(sweep.runs),
        "networks": len(sweep.networks),
        "merged": plan.merged,
        "states": {state.value: plan.counts.get(state, 0) for state in SHOWN},
        "stages": [_stage_json(stage) for stage in plan.stages if stage.tasks],
        "hours": round(plan.hours(), 3),
        "hours_worst": round(plan.hours(worst=True), 3),
        "budget": budget,
        "gpus_per_task": plan.gpus_per_task,
        "measured_runs": plan.measured,
        "forecast": [one.as_json() for one in forecast.expected(plan.groups)],
        "notes": notes(sweep, states),
        "ids": [run.id for run in sweep.runs],
    }


def plan_text(plan: Plan, sweep: Sweep, profile: str, states: Mapping[RunId, Standing], budget: float | None = None) -> str:
    """What would run, in groups and tasks, and what it would cost."""
    how = "between" if "front_network" in sweep.jobs[sweep.spec.job].config.model_fields else "on"
    networks = f" {how} {number(len(sweep.networks), 'network')}" if sweep.networks else ""
    merged = f" ({number(plan.merged, 'duplicate')} merged)" if plan.merged else ""
    lines = [f"{plan.sweep}: {number(len(sweep.runs), 'run')}{networks}{merged}"]
    lines.append("  states    " + counts_text(plan.counts))
    lines += [_stage_text(stage) for stage in plan.stages if stage.tasks]
    lines += [f"  note      {note}" for note in notes(sweep, states)]
    if not any(stage.tasks for stage in plan.stages):
        return "\n".join([*lines, "  nothing to send"])
    return "\n".join([*lines, *_cost_lines(plan, budget), f"            profile {profile}"])


def notes(sweep: Sweep, states: Mapping[RunId, Standing]) -> list[str]:
    """What a plan does not send though it is not done, or sends though it was done before."""
    found = [f"{number(k['runs'], 'run')} blocked: {k['message']}" for k in blocked(sweep, states) if k["cause"] == DIVERGED]
    lost = [str(standing.message) for standing in states.values() if standing.state is State.NEW and standing.cause == LOST]
    found += [f"{number(len(lost), 'network')} to be made again: {lost[0]}" + (", …" if len(lost) > 1 else "")] if lost else []
    if again := mirrored.twice(sweep):
        found.append(f"{number(again, 'symmetric comparison')} asked both ways; pairs: unordered asks once")
    failed = sum(standing.state is State.FAILED for standing in states.values())
    return [*found, f"{number(failed, 'run')} failed; to try again: repsim sweep retry {sweep.name}"] if failed else found


def counts_text(counts: Mapping[State, int]) -> str:
    """Only the states that occur, in their order."""
    return " · ".join(f"{state.value} {counts[state]:,}" for state in SHOWN if counts.get(state)) or "none"


@dataclass(frozen=True)
class Hours:
    """Hours that were used and that are left, in a unit; on a cluster those of the GPUs that each task holds, `gpus` of them.

    `sent` are those of what is queued or running, a guess where no run of any such kind was measured; `forecast` says once all
    is over what stored runs should have taken, and took.
    """

    used: float
    left: float
    unit: str
    gpus: int
    sent: float
    guess: bool
    forecast: tuple[float, float] | None = None


def status_json(sweep: Sweep, states: Mapping[RunId, Standing], tasks: Sequence[Task], hours: Hours) -> dict[str, Any]:
    """State counts, failures, live tasks and hours as an object; `repsim.report.grid` has the grid of it."""
    return {
        "sweep": sweep.name,
        "networks": _counts(sweep.networks, states),
        "runs": _counts(sweep.runs, states),
        "failures": failures(sweep, states),
        "blocked": blocked(sweep, states),
        "tasks": [{"name": t.name, "job": t.element, "state": t.state, "reason": t.reason, "node": t.node} for t in tasks],
        "hours_unit": hours.unit,
        "hours_used": round(hours.used, 4),
        "hours_left": round(hours.left, 4),
        "eta_minutes": _eta(tasks, hours.sent / max(1, hours.gpus)),
        "eta_is_guess": hours.guess,
        "forecast": _forecast(hours.forecast),
    }


def status_text(shown: Mapping[str, Any]) -> str:
    """The object of `status_json` for people."""
    lines = [f"{shown['sweep']}"]
    if shown["networks"]:
        lines.append("  networks  " + _words(shown["networks"]))
    lines += ["  runs      " + _words(shown["runs"]), *grid.grid_lines(shown["grid"])]
    guess = " (a guess)" if shown["eta_is_guess"] else ""
    eta = f", what was sent is ready in about {shown['eta_minutes']:.0f} min{guess}" if shown["eta_minutes"] else ""
    lost = f", {shown['hours_wasted']:.2f} wasted on attempts that gave no row" if shown["hours_wasted"] else ""
    lines.append(f"  {shown['hours_unit']:<9} {shown['hours_used']:.2f} used, about {shown['hours_left']:.2f} left{lost}{eta}")
    if past := shown["forecast"]:
        took = f"took {past['hours']:.2f} {shown['hours_unit']}, forecast {past['hours_expected']:.2f} ({past['ratio']:.2f}×)"
        lines.append(f"  forecast  {took}")
    lines += [f"  blocked   {b['runs']} × {b['message']:.200}" for b in shown["blocked"]]
    return "\n".join([*lines, *_failure_lines(shown)])


def failures(sweep: Sweep, states: Mapping[RunId, Standing]) -> list[dict[str, Any]]:
    """Each distinct failure once, whatever its numbers and paths: cause, message, how many runs, one of them."""
    return _kinds(sweep, states, lambda standing: standing.state is State.FAILED, signature)


def blocked(sweep: Sweep, states: Mapping[RunId, Standing]) -> list[dict[str, Any]]:
    """The same for runs that wait for a network that does not come by waiting."""
    return _kinds(sweep, states, lambda standing: standing.state is State.BLOCKED and standing.cause in (DIVERGED, LOST), str)


def _kinds(
    sweep: Sweep, states: Mapping[RunId, Standing], among: Callable[[Standing], bool], alike: Callable[[str], str]
) -> list[dict[str, Any]]:
    """Runs of equal cause, and of messages that are equal once they went through `alike`, as one; its message is the first."""
    kinds: dict[tuple[str, str], list[Run]] = {}
    for run in sweep.all_runs:
        if (standing := states[run.id]) is not DONE and among(standing):
            kinds.setdefault((standing.cause or known(None), alike(standing.message or "")), []).append(run)
    return [
        {"cause": str(cause), "message": states[first.id].message or "", "runs": count, "example": first.id, "slug": first.slug}
        for (cause, _), first, count in ((kind, runs[0], len(runs)) for kind, runs in kinds.items())
    ]


def _stage_json(stage: Stage) -> dict[str, Any]:
    groups = stage.groups
    return {
        "stage": stage.name,
        "runs": stage.runs,
        "groups": len(groups),
        "tasks": len(stage.tasks),
        "runs_per_group": max(len(group.runs) for group in groups),
        "hours": round(stage.seconds / 3600, 3),
        "longest_task_minutes": round(stage.longest / 60, 1),
    }


def _stage_text(stage: Stage) -> str:
    runs, groups, tasks = (number(*of) for of in ((stage.runs, "run"), (len(stage.groups), "group"), (len(stage.tasks), "task")))
    words = f"{runs} in {groups} → {tasks} of up to {max(1, round(stage.longest / 60))} min"
    return f"  {STAGES[stage.name]:<9} {words}"


def unit(gpus_per_task: int) -> str:
    """What hours are counted in."""
    return "GPU-hours" if gpus_per_task else "task-hours"


def _cost_lines(plan: Plan, budget: float | None) -> list[str]:
    """Hours, and what they rest on for each kind of run, the dearest first."""
    limit = f"  (budget {budget:g})" if budget is not None else ""
    total = f"about {plan.hours():.2f} {unit(plan.gpus_per_task)} expected, {plan.hours(worst=True):.2f} at the slow end{limit}"
    kinds = sorted(forecast.expected(plan.groups), key=lambda one: -one.seconds)
    lines = [f"{one.job} {one.kind}".rstrip() + f": {in_hours(one.seconds / 3600)} h, {basis(one.source, one.n)}" for one in kinds]
    more = [f"and {number(len(lines) - MAX_KINDS, 'kind')} of runs more"] if len(lines) > MAX_KINDS else []
    return [f"  cost      {total}", *(f"            {line}" for line in [*lines[:MAX_KINDS], *more, *_starts(plan, kinds)])]


def in_hours(value: float) -> str:
    """Two decimals, or the first digit that is none of zero's."""
    return f"{value:.2f}" if value >= 0.005 or value == 0 else f"{value:.1g}"


def _starts(plan: Plan, kinds: Sequence[forecast.Expected]) -> list[str]:
    """What the tasks need beside their runs, where it shows in the sum."""
    rest = (sum(stage.seconds for stage in plan.stages) - sum(one.seconds for one in kinds)) / 3600
    tasks = number(sum(len(stage.tasks) for stage in plan.stages), "task")
    return [f"starting {tasks}: {rest:.2f} h"] if rest >= 0.005 else []


def basis(source: str, n: int) -> str:
    """What a forecast rests on."""
    return {
        "measured": f"from {number(n, 'measured run')} of this kind",
        "dry-run": f"from the first steps of {number(n, 'run')} (dry-run), which is rather too much",
        "similar": f"from {number(n, 'measured run')} of other networks or on other cards",
    }.get(source, "a guess: no run of this kind is measured yet (the first steps tell more: repsim sweep dry-run)")


def _counts(runs: Iterable[Run], states: Mapping[RunId, Standing]) -> dict[str, int]:
    counts = Counter(states[run.id].state for run in runs)
    return {state.value: counts[state] for state in SHOWN if counts[state]}


def _words(counts: Mapping[str, int]) -> str:
    return " · ".join(f"{state} {n:,}" for state, n in counts.items()) or "none"


def _forecast(found: tuple[float, float] | None) -> dict[str, float] | None:
    """Hours forecast and taken as an object."""
    if found is None:
        return None
    expected, took = found
    return {"hours_expected": round(expected, 4), "hours": round(took, 4), "ratio": round(took / expected, 3)}


def _eta(tasks: Sequence[Task], left_task_h: float) -> float | None:
    running = sum(task.state == "RUNNING" for task in tasks)
    return round(60 * left_task_h / running, 1) if running and left_task_h else None


def _failure_lines(shown: Mapping[str, Any]) -> list[str]:
    """Each distinct failure, then what is to be done about each cause."""
    lines = [f"  failed    {f['runs']} × {f['cause']}: {_indented(f['message'])}  (e.g. {f['slug']})" for f in shown["failures"]]
    lines += [f"            {each}: {rule(each).words}" for each in dict.fromkeys(f["cause"] for f in shown["failures"])]
    return [*lines, f"            try them again: repsim sweep retry {shown['sweep']} --failed"] if lines else []


def _indented(message: str) -> str:
    """A message of several lines (what is wrong, then what to do) below its first line."""
    return message.replace("\n", "\n          ")
