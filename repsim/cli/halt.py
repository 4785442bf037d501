"""Owns `repsim sweep stop` and `repsim sweep resume`: a sweep that is under way is held by a file, and let go again."""

import time

from repsim import orders, submission
from repsim.cli.output import Json, SpecArgument, project_of, show, spec_path
from repsim.orders import Stop
from repsim.project import Project
from repsim.report.counts import number
from repsim.submission import Submission


def stop(spec: SpecArgument, json: Json = False) -> None:
    """Stop a sweep softly: each task finishes the group at work and begins no other. Needs no Slurm; results stay."""
    name, mine = _sent(spec)
    open_ones = [one for one in mine if not one.closed]
    told = [one.name for one in open_ones if orders.stop(one, Stop("hand", time.time()))]
    text = f"stopped: {number(len(told), 'submission')}; its tasks leave after the group at work\n" if told else ""
    before = f"stopped already: repsim sweep resume {name}" if open_ones else "nothing of it is queued or running"
    show(json, {"stopped": told}, f"{text}go on: repsim sweep resume {name}" if told else before)


def resume(spec: SpecArgument, json: Json = False) -> None:
    """Let a stopped sweep go on: one stopped by hand, or by its own failures once their reason is mended."""
    name, mine = _sent(spec)
    freed = [one.name for one in mine if orders.resume(one)]
    text = f"let go: {number(len(freed), 'submission')}; send what is left: repsim sweep submit {name}"
    show(json, {"resumed": freed}, text if freed else "nothing of it is stopped")


def _sent(spec: str) -> tuple[str, list[Submission]]:
    """The name of the sweep and what was sent of it; the file itself need not be right, nor be there."""
    project: Project = project_of(spec)
    name = spec_path(spec, project).stem
    return name, [one for one in submission.every(project.submissions) if one.head["sweep"] == name]
