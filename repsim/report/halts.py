"""Owns how it is shown that a sweep does not simply run: stops that stand, and tasks that were preempted, out of time or lost."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from repsim import orders, restarts
from repsim.submission import Submission


def halts_json(known: Sequence[Submission], sweep: str, alive: Collection[tuple[str, int]]) -> dict[str, Any]:
    """Of the submissions of `sweep`; `alive` are the tasks (name of the submission, index) that are queued or running."""
    mine = [one for one in known if one.head["sweep"] == sweep]
    return {"stops": orders.stops_json(orders.standing(mine)), "restarts": restarts.counts(mine, alive)}


def halts_lines(shown: Mapping[str, Any]) -> list[str]:
    """The object of `halts_json` for people."""
    lines = [f"  held      {line}" for line in dict.fromkeys(map(_stopped, shown["stops"]))]
    if lines:
        mended = ", once it is mended" if any(stop["by"] == "breaker" for stop in shown["stops"]) else ""
        lines.append(f"            go on{mended}: repsim sweep resume {shown['sweep']}")
    counts = ", ".join(f"{count:,} {name}" for name, count in shown["restarts"].items())
    return lines + ([f"  restarts  {counts}"] if counts else [])


def _stopped(stop: Mapping[str, Any]) -> str:
    """Why, and of a breaker that tripped a run to look at."""
    example = f"; see: repsim sweep logs {stop['run']}" if stop["run"] else ""
    return f"{stop['words'].removeprefix('stopped: ')}{example}"
