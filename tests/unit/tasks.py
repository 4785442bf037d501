"""Owns tasks of the toy project that tests put to work, and what these leave in the store and on record."""

import toy

from repsim import store
from repsim.pack import Pack
from repsim.submission import Submission

FOREVER = float("inf")


def pack(one: Submission, index: int = 0, **changes) -> Pack:
    wanted = {"stop": lambda: False, "time_left": lambda: FOREVER, "listen": lambda *_: None, **changes}
    return Pack(one, index, **wanted)


def rows(project, sweep) -> dict[str, dict]:
    return {row["run_id"]: row for row in store.read(project.store, sweep.jobs[sweep.spec.job]).to_pylist()}


def parts(project, job: str = "square") -> list[str]:
    return [p.stem for p in store.parts(project.store, job)]


def squares(project, text: str = "grid: {batch: [0, 1], value: [2.0, 3.0]}", name: str = "toy"):
    return toy.sweep(project, f"job: square\n{text}", name)


def last_events(one: Submission) -> dict[str, dict]:
    return {event["group"]: event for event in one.events()}
