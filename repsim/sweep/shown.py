"""Owns what the table of a sweep shows where nothing is said: its rows, its columns and the number."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from repsim.errors import UserError
from repsim.sweep.expand import Sweep
from repsim.sweep.refusals import PLACE, has_layer, subject_of
from repsim.sweep.run import labels, values

ROWS = ("arch", "width", "depth", "dataset", "made", "layer")
VALUES = ("penalty", "value", "accuracy")  # the number of a row: the first that it has
REPEATS = ("network", "seed", "*_seed")
"""Fields in which the runs of one cell differ."""


def table_of(sweep: Sweep) -> dict[str, Any]:
    """`rows`, `cols` and `value`; of single networks by architecture, of comparisons and of networks at layers by layer, and
    whatever else the runs differ in.

    Raises: UserError for runs that are not about networks.
    """
    job = sweep.jobs[sweep.spec.job]
    subject = subject_of(job)
    if subject != "training" and not any(run.inputs for run in sweep.runs):
        raise UserError("only sweeps over networks have such a table", where=str(sweep.path), do="see: repsim results aggregate")
    value = next(({"value": name} for name in VALUES if name in job.row.model_fields), {})
    if subject != "pair":
        return {"rows": _networks(sweep), "cols": _differences(sweep), **value}
    return {"rows": _layers(sweep)} if value == {"value": VALUES[0]} else {"rows": _layers(sweep), "cols": _ways(sweep), **value}


def refuse_mixed(sweep: Sweep, keys: Sequence[str]) -> None:
    """Raise UserError where a cell with these keys would be the mean of two measures: a similarity and a distance have none."""
    if "measure" not in sweep.jobs[sweep.spec.job].config.model_fields:
        return
    beside = ["end_layer"] if "front_layer" in keys else []  # a layer is shown with its partner
    first: dict[tuple[Any, ...], str] = {}
    config = sweep.jobs[sweep.spec.job].config.model_fields
    said = [(values if key in config else labels)(sweep.runs, key) for key in [*keys, *beside]]
    for key, other in zip(zip(*said, strict=True), values(sweep.runs, "measure"), strict=True):
        measure = first.setdefault(key, other)
        if measure != other:
            what = f"a cell would be the mean of {measure} and {other}"
            raise UserError(what, where="table", do="name measure among its rows or columns, as in --cols measure")


def _layers(sweep: Sweep) -> list[str]:
    """Layers; with several architectures these first."""
    archs = set(labels(sweep.runs, "front_arch"))
    return ["front_arch", "front_layer"] if len(archs) > 1 else ["front_layer"]


def _ways(sweep: Sweep) -> list[str]:
    """The case, and each further field in which comparisons of two layers differ."""
    config = sweep.jobs[sweep.spec.job].config
    passed = {*PLACE, *(key for case in sweep.spec.cases.values() for key in case)}
    cols = [name for name in config.model_fields if name not in passed and _varies(sweep, name)]
    return ["case", *cols] if sweep.spec.cases or not cols else cols


def _networks(sweep: Sweep) -> list[str]:
    """The architecture, what else tells kinds of networks apart, and the layer; where there are layers, all else if it varies."""
    job = sweep.jobs[sweep.spec.job]
    always = "layer" if has_layer(job) else "arch"
    return [name for name in ROWS if name in job.config.model_fields and (name == always or _varies(sweep, name))] or ["case"]


def _differences(sweep: Sweep) -> list[str]:
    """The case, and each further field in which runs differ."""
    config, rows = sweep.jobs[sweep.spec.job].config, _networks(sweep)
    passed = {*rows, *config.labels, *(key for case in sweep.spec.cases.values() for key in case)}
    cols = [name for name in config.model_fields if name not in passed and not _repeats(name) and _varies(sweep, name)]
    cols = ["case", *cols] if sweep.spec.cases else cols
    left = {"case", *config.model_fields}.difference(rows)
    return cols or [next(name for name in ("recipe", "dataset", "case") if name in left)]


def _repeats(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in REPEATS)


def _varies(sweep: Sweep, name: str) -> bool:
    return len(set(values(sweep.runs, name))) > 1
