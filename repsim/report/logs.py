"""Owns how failures are shown with their last words: each distinct error once, its count, an example, the end of its log."""

from collections.abc import Iterable, Mapping
from typing import Any

from repsim import log
from repsim.job import RunId
from repsim.report.counts import number
from repsim.state import Standing
from repsim.submission import Submission


def failed_json(
    failures: Iterable[Mapping[str, Any]], states: Mapping[RunId, Standing], known: Iterable[Submission], tail: int
) -> dict[str, Any]:
    """`failures` of a sweep (one per distinct error), each with the last `tail` lines of the log of its example."""
    by_name = {one.name: one for one in known}
    return {"failed": [{**each, **_log_of(each["example"], states[each["example"]], by_name, tail)} for each in failures]}


def failed_text(shown: Mapping[str, Any], sweep: str) -> str:
    """The object of `failed_json` for people."""
    return "\n\n".join(map(_block, shown["failed"])) or f"no run of {sweep} failed"


def _log_of(run: RunId, standing: Standing, known: Mapping[str, Submission], tail: int) -> dict[str, Any]:
    """The end of what was printed while the run was computed; of all its task printed, if it never came to the run."""
    one, task = known.get(standing.submission or ""), standing.task
    if one is None or task is None:
        return {"file": None, "log": ""}
    group = next(group["id"] for group in one.outline[task] for member in group["runs"] if member["id"] == run)
    place = log.Place(run, one, task, group)
    return {"file": str(place.file), "log": log.tail(place.slice or log.whole(place), tail)}


def _block(each: Mapping[str, Any]) -> str:
    head = f"{number(each['runs'], 'run')} × {each['cause']}: {each['message']}"
    where = f"  e.g. {each['slug']}" + (f", in {each['file']}" if each["file"] else "")
    return "\n".join([head, where, *(f"  | {line}" for line in each["log"].splitlines())])
