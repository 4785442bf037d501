"""Owns why a sweep has a point, or has it not: which block of the file made it, decided its fields, or took it out."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from repsim import submission
from repsim.errors import SpecError, nearest
from repsim.identity import id_of
from repsim.job import Job
from repsim.project import Project
from repsim.sweep.exclude import Draft, value_of
from repsim.sweep.expand import Run, Sweep, Trace, open_sweep
from repsim.sweep.filters import Wanted, wanted_of
from repsim.sweep.points import block_of

PRODUCT = "product"
"""What made a point that no case, rule of `when` or entry of `include` had a hand in."""


@dataclass(frozen=True)
class Why:
    """What was found of what was asked.

    Attributes:
        runs: how many runs of the sweep are meant; of these, `made` counts points by the blocks that made them.
        made: blocks, joined by " + ", → points; equal points are one run.
        taken: rule of `exclude` → points that are meant and that it took out.
        point: {id, slug, fields: {name: {value, block}}, defaults: how many fields stand at theirs}, where one alone is meant.
    """

    sweep: str
    runs: int
    made: dict[str, int]
    taken: dict[str, int]
    rules: dict[str, dict[str, list[Any]]]
    point: dict[str, Any] | None


def why(path: Path, project: Project, words: Sequence[str]) -> Why:
    """Why the sweep has what `words` mean: a run's id or its beginning, or filters KEY=VALUE.

    Raises SpecError for words that mean no point at all, naming the word to blame, and whatever makes the sweep unreadable.
    """
    trace = Trace()
    sweep = open_sweep(path, project, trace)
    if not words:
        raise SpecError("says no run", where=str(path), do="name an id or its beginning, or KEY=VALUE …")
    if len(words) == 1 and "=" not in words[0] and (network := _network(sweep, words[0])):
        return Why(sweep.name, 1, {"zoo": 1}, {}, {}, _network_point(network))
    wanted = wanted_of([word if "=" in word else f"id={word}*" for word in words], sweep)
    made = [(draft, run) for draft, run in trace.made if _means(draft, run.id, wanted, _job(sweep))]
    taken = [[draft for draft in drafts if _means(draft, None, wanted, _job(sweep))] for drafts in trace.taken]
    if not made and not any(taken):
        raise _nothing(project, sweep, trace, wanted)
    return _told(sweep, made, taken)


def _told(sweep: Sweep, made: Sequence[tuple[Draft, Run]], taken: Sequence[Sequence[Draft]]) -> Why:
    runs = list(dict.fromkeys(run.id for _, run in made))
    out = {f"exclude.{index}": drafts for index, drafts in enumerate(taken) if drafts}
    drafts = [draft for draft, run in made if run.id == runs[0]] or [draft for some in out.values() for draft in some]
    alone = len(runs) + sum(map(len, out.values())) == 1
    return Why(
        sweep.name,
        len(runs),
        dict(Counter(" + ".join(draft.blocks) or PRODUCT for draft, _ in made)),
        {rule: len(some) for rule, some in out.items()},
        {rule: sweep.spec.exclude[int(rule.removeprefix("exclude."))] for rule in out},
        _point(sweep, drafts[0], made[0][1] if made else None) if alone else None,
    )


def _point(sweep: Sweep, draft: Draft, run: Run | None) -> dict[str, Any]:
    job = _job(sweep)
    fields = {
        key: {"value": value_of(draft, key, job), "block": block}
        for key in job.config.model_fields
        if (block := block_of(sweep.spec, draft, key))
    }
    name = {"id": run.id if run else _id(draft, job), "slug": run.slug if run else draft.case}
    return {**name, "fields": fields, "defaults": len(job.config.model_fields) - len(fields)}


def _network(sweep: Sweep, word: str) -> Run | None:
    return next((run for run in sweep.networks if word and run.id.startswith(word)), None)


def _network_point(network: Run) -> dict[str, Any]:
    said = network.config.model_dump(exclude_defaults=True)
    fields = {key: {"value": value, "block": "zoo"} for key, value in said.items()}
    return {
        "id": network.id,
        "slug": network.slug,
        "fields": fields,
        "defaults": len(type(network.config).model_fields) - len(said),
    }


def _means(draft: Draft, run_id: str | None, wanted: Wanted, job: Job) -> bool:
    return all(fnmatchcase(_text(draft, run_id, key, job), value) for key, value in wanted)


def _text(draft: Draft, run_id: str | None, key: str, job: Job) -> str:
    return run_id or _id(draft, job) or "" if key == "id" else str(value_of(draft, key, job))


def _id(draft: Draft, job: Job) -> str | None:
    """The id that a point would have had; None where its fields make no sense together."""
    try:
        return id_of(job, job.config.model_validate(draft.fields))
    except ValidationError:
        return None


def _nothing(project: Project, sweep: Sweep, trace: Trace, wanted: Wanted) -> SpecError:
    """Which of the words no point answers to, or that none answers to all."""
    for key, value in wanted:
        if key == "id":
            if gone := _dropped(project, sweep, value.removesuffix("*")):
                return gone
            what = f"no run begins with '{value.removesuffix('*')}', neither a run of the sweep nor one that it excludes"
            return SpecError(what, where=str(sweep.path), do="see all ids: repsim sweep plan --json")
        there = dict.fromkeys(str(value_of(draft, key, _job(sweep))) for draft in _all(trace))
        if not any(fnmatchcase(one, value) for one in there):
            return SpecError(f"no block gives '{key}' the value '{value}'", where=str(sweep.path), do=nearest(value, there))
    return SpecError("no point has all of these values", where=str(sweep.path), do="leave one out: each of them occurs")


def _dropped(project: Project, sweep: Sweep, start: str) -> SpecError | None:
    """What to say of a run that the file made when it was sent, and makes no more; its row stays whatever the file says."""
    for one in reversed(submission.every(project.submissions)):
        for group in (group for groups in one.plan["tasks"] for group in groups if one.plan["sweep"] == sweep.name):
            run = next((run for run in group["runs"] if start and run["id"].startswith(start)), None)
            if run is not None:
                fields = ", ".join(f"{key} {value}" for key, value in _said(group["job"], run["config"], sweep).items())
                what = f"run {run['id']} is no longer in the sweep, though {one.name} held it: {fields}"
                return SpecError(
                    what, where=str(sweep.path), do="its row and its log stay; put the point back to have it in tables"
                )
    return None


def _said(job: str, config: dict[str, Any], sweep: Sweep) -> dict[str, Any]:
    """The fields that are not at their defaults, as far as the job still has them."""
    fields = sweep.jobs[job].config.model_fields if job in sweep.jobs else {}
    return {key: value for key, value in config.items() if key not in fields or value != fields[key].default}


def _all(trace: Trace) -> Iterator[Draft]:
    yield from (draft for draft, _ in trace.made)
    yield from _flat(trace.taken)


def _flat(taken: Iterable[Iterable[Draft]]) -> Iterator[Draft]:
    for drafts in taken:
        yield from drafts


def _job(sweep: Sweep) -> Job:
    return sweep.jobs[sweep.spec.job]
