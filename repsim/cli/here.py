"""Owns computing on this machine, as `sweep run` does, with progress on a terminal and plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from repsim import plan as planning
from repsim import reconcile, submission
from repsim.cause import Cause
from repsim.cli.output import say, show
from repsim.plan import Plan
from repsim.profile import Profile
from repsim.progress import Listen
from repsim.project import Project
from repsim.report import plans
from repsim.report.counts import number
from repsim.state import State
from repsim.sweep.expand import Sweep

QUIET_S = 5.0  # seconds between two plain lines
GOOD = {"done", "stored"}


@dataclass(frozen=True)
class Attempt:
    """How computing a sweep here went: outcome of each group, cause of each reason of failure, runs left alone by state."""

    sweep: str
    outcomes: list[str]
    reasons: dict[str, str]
    left: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        """The object that --json prints."""
        groups = {name: self.outcomes.count(name) for name in sorted(set(self.outcomes))}
        return {"sweep": self.sweep, "groups": groups, "failed": list(self.reasons), "left": self.left}

    @property
    def text(self) -> str:
        """What was done, and what was not."""
        return _closing(self)

    def leave(self) -> None:
        """Exit with 1 if a group failed or was stopped, with 2 if only bad input failed."""
        if set(self.outcomes) - GOOD or self.left:
            raise typer.Exit(exit_code(self.outcomes, self.reasons))


def run(
    project: Project,
    sweep: Sweep,
    device: str,
    workers: int,
    profile: Profile,
    limit: int | None,
    json: bool,
    also: tuple[State, ...],
) -> None:
    """Compute what is missing, networks first; say how it went, and leave so."""
    attempt = attempted(project, sweep, device, workers, profile, limit, also)
    show(json, attempt.as_json(), attempt.text)
    attempt.leave()


def attempted(
    project: Project, sweep: Sweep, device: str, workers: int, profile: Profile, limit: int | None, also: tuple[State, ...]
) -> Attempt:
    """Compute what is missing, networks first, with the plan and the progress shown."""
    with reconcile.locked(project):
        states = reconcile.standings(project, sweep)
        reconcile.refuse_lost_imports(project, sweep, states)
        if limit is not None:
            missing = [r.id for r in sweep.runs if states[r.id].waits or states[r.id].state in (State.NEW, *also)][:limit]
            sweep = planning.restricted(sweep, lambda run: run.id in set(missing))
        made = reconcile.make_plan(project, sweep, states, profile, device, also)
        say(plans.plan_text(made, sweep, f"this machine ({device})", states))
        outcomes, reasons = compute(project, sweep, made, device, workers)
    for reason in reasons:
        say(f"repsim: {reason}")
    return Attempt(sweep.name, outcomes, reasons, left_alone(made, also))


def compute(
    project: Project,
    sweep: Sweep,
    made: Plan,
    device: str,
    workers: int,
    steps: int | None = None,
    overhear: Listen = lambda group, fraction, text: None,
) -> tuple[list[str], dict[str, str]]:
    """Do the plan with progress shown; the outcome of each group, and the cause of each distinct reason why one failed."""
    before = {one.name for one in submission.every(project.submissions)}
    with progress(made) as listen:

        def heard(group: str, fraction: float, text: str) -> None:
            overhear(group, fraction, text)
            listen(group, fraction, text)

        outcomes = reconcile.run_here(project, sweep, made, device, workers, heard, steps)
    new = [one for one in submission.every(project.submissions) if one.name not in before]
    events = [event for one in new for event in one.events() if event.get("outcome") == "failed"]
    return outcomes, {event["message"]: event["cause"] for event in events}


def complete(
    project: Project, sweep: Sweep, device: str, workers: int, steps: int | None = None
) -> tuple[list[str], dict[str, str]]:
    """Compute what is missing of the sweep, failed runs too: who names the very runs wants them tried again."""
    with reconcile.locked(project):
        states = reconcile.standings(project, sweep)
        made = reconcile.make_plan(project, sweep, states, Profile(cluster="local"), device, (State.FAILED,))
        return compute(project, sweep, made, device, workers, steps)


def known_sweeps(project: Project) -> list[Path]:
    """The sweep files that were sent or run at least once and still exist."""
    files = {path.stem: path for path in project.sweep_files}
    names = dict.fromkeys(one.head["sweep"] for one in submission.every(project.submissions))
    return [files[name] for name in names if name in files]


@contextmanager
def progress(made: Plan) -> Iterator[Listen]:
    """A bar per plan on a terminal; elsewhere a plain line every few seconds."""
    groups = {group.id: group for stage in made.stages for group in stage.groups}
    total = sum(len(group.runs) for group in groups.values())
    if sys.stderr.isatty() and total:
        with _bar(groups, total) as listen:
            yield listen
    else:
        yield _lines(groups, total)


def _lines(groups: dict[str, planning.Group], total: int) -> Listen:
    finished: set[str] = set()
    began, last = time.monotonic(), [0.0]

    def listen(group: str, fraction: float, text: str) -> None:
        if fraction >= 1:
            finished.add(group)
        now = time.monotonic()
        if now - last[0] >= QUIET_S or len(finished) == len(groups):
            last[0] = now
            done = sum(len(groups[g].runs) for g in finished if g in groups)
            say(f"  {done:,} of {total:,} runs · {now - began:.0f} s · {groups[group].job} {fraction:.0%} {text}")

    return listen


@contextmanager
def _bar(groups: dict[str, planning.Group], total: int) -> Iterator[Listen]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("runs", total=total)
        done: dict[str, float] = {}

        def listen(group: str, fraction: float, text: str) -> None:
            done[group] = min(1.0, fraction) * len(groups[group].runs)
            bar.update(task, completed=sum(done.values()), description=f"{groups[group].job} {text:.30}")

        yield listen


def left_alone(made: Plan, also: tuple[State, ...]) -> dict[str, int]:
    """Runs that this plan does not touch though they are not done: failed before, or blocked for good."""
    later = made.stage("later")
    blocked = made.counts.get(State.BLOCKED, 0) - (later.runs if later else 0)
    failed = 0 if State.FAILED in also else made.counts.get(State.FAILED, 0)
    return {name: n for name, n in (("failed", failed), ("blocked", blocked)) if n}


def exit_code(outcomes: list[str], reasons: dict[str, str]) -> int:
    """2 where every group that is not done was stopped by bad input, which its user can mend; else 1."""
    only_failed = set(outcomes) <= GOOD | {"failed", "blocked"}
    return 2 if reasons and only_failed and set(reasons.values()) == {Cause.MISSING_INPUT} else 1


def _closing(one: Attempt) -> str:
    bad = [outcome for outcome in one.outcomes if outcome not in GOOD]
    if not bad and not one.left:
        return f"done: {number(len(one.outcomes), 'group')}" if one.outcomes else "all is done: nothing left to compute"
    words = [f"{number(len(one.outcomes) - len(bad), 'group')} done", *(f"{bad.count(name)} {name}" for name in sorted(set(bad)))]
    words += [f"{number(n, 'run')} {name} before" for name, n in one.left.items()]
    return ", ".join(words) + f"; see: repsim sweep status {one.sweep}"
