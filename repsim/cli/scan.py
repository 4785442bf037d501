"""Owns `repsim sweep scan`: what is derived from the results is made anew, and told."""

from contextlib import suppress
from dataclasses import asdict
from typing import Annotated, Any

import typer

from repsim import reconcile, scanning, submission
from repsim.cli.output import Json, project_of, show, spec_path
from repsim.errors import ClusterError
from repsim.job import load
from repsim.report.counts import number


def scan(
    spec: Annotated[str | None, typer.Argument(metavar="[SPEC]", help="A sweep: only its submissions.")] = None,
    json: Json = False,
) -> None:
    """Make anew what is derived from the results: overviews, manifests, outlines, marks of what is over."""
    project = project_of(spec)
    sweep = spec and spec_path(spec, project).stem
    known = [one for one in submission.every(project.submissions) if sweep in (None, one.plan["sweep"])]
    jobs = {path.stem: load(project.jobs, path.stem) for path in sorted(project.jobs.glob("*.py"))}
    found = scanning.scan(project.store, jobs, known)
    before = sum(one.closed for one in known)
    with suppress(ClusterError):  # what Slurm cannot be asked about is not over
        reconcile.close_finished(project)
    closed = sum(one.closed for one in known) - before
    bad = [{"file": one.where, "why": one.what} for one in found.bad]
    shown = {**asdict(found), "bad": bad, "closed": closed}
    show(json, shown, _text(shown))


def _text(shown: dict[str, Any]) -> str:
    counts = ", ".join(number(shown[key], key[:-1]) for key in ("overviews", "manifests", "outlines"))
    lines = [
        f"found {number(shown['parts'], 'part')} with {number(shown['rows'], 'row')}, {number(shown['submissions'], 'submission')}",
        f"made anew: {counts}; {number(shown['closed'], 'submission')} found to be over",
    ]
    return "\n".join([*lines, *(f"bad: {one['file']}: {one['why']}" for one in shown["bad"])])
