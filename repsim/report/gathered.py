"""Owns what pictures are made of that is no table: curves of the trainings of a sweep, curves and maps of its saved stitchers."""

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

from repsim import keptmaps
from repsim.errors import InputError
from repsim.keptmaps import Learned
from repsim.project import Project
from repsim.report.learning import Curve, Panel
from repsim.report.weights import Item
from repsim.sweep import curves
from repsim.sweep.expand import TRAIN, Sweep
from repsim.sweep.known import networks
from repsim.tablekeys import ARROW

if TYPE_CHECKING:
    import pandas as pd

FACTS = {
    "penalty": ("penalty {:.2f} points", 100),
    "matrix_rank": ("rank {:.0f}", 1),
    "sparsity": ("sparsity {:.3f}", 1),
    "rounding_loss": ("rounding loss {:.2f} points", 100),
}
"""Column of a row → how it is said of a map, and what it is multiplied with."""
OF_TRAININGS = {"accuracy": "accuracy on {} images", "train_loss": "training loss"}
OF_STITCHERS = {"validation_accuracy": "validation accuracy", "validation_loss": "validation loss", "train_loss": "training loss"}


def trainings(project: Project, sweep: Sweep, asked: Sequence[str] = ()) -> list[Panel]:
    """Accuracy and loss of the trainings that the sweep is about, a line per kind of network; none where it trains none."""
    wanted = {run.id for run in sweep.all_runs if run.job == TRAIN}
    found = [one for one in networks(project, TRAIN) if one.run in wanted and one.row.get("curve_epoch")]
    found = [one for one in found if not asked or one.run.startswith(tuple(asked))]
    told = {one.run: (f"{one.label} on {one.dataset}, {one.row['made']}", curves.of_training(one)) for one in found}
    panels = []
    for name, axis in OF_TRAININGS.items():
        for scored in sorted({curve["scored_on"] for _, curve in told.values()}):
            column = f"{scored}_accuracy" if name == "accuracy" else name
            members = [(label, run, run, curve["curve"]) for run, (label, curve) in told.items() if curve["scored_on"] == scored]
            panels += _panel("", axis.format(scored), column, members)
    return panels


def stitchers(project: Project, sweep: Sweep, asked: Sequence[str] = ()) -> list[Panel]:
    """What the saved stitchers of the sweep learned, a panel per layer, a line per case; none where it keeps none."""
    try:
        files = keptmaps.files(project, sweep, asked)
    except InputError:
        if asked:
            raise
        return []
    kept = keptmaps.learned(sweep, files)
    panels = []
    for place in dict.fromkeys(map(_place, kept)):
        mine = [one for one in kept if _place(one) == place]
        for column, axis in OF_STITCHERS.items():
            members = [(_case(one), *_ends(one), one.curve) for one in mine]
            panels += _panel(place, axis, column, members)
    return panels


def maps(project: Project, sweep: Sweep, found: "pd.DataFrame", asked: Sequence[str] = ()) -> list[Item]:
    """The saved stitchers that were asked for, or the first of each case, with what their rows say. Raises InputError for none."""
    files = keptmaps.files(project, sweep, asked)
    kept = keptmaps.read(sweep, files if asked else keptmaps.first_of_each_case(sweep, files))
    rows = {row["run_id"]: row for row in found.to_dict("records")}
    return [Item(_title(one), str(_config(one)["stitcher"]), one.start, one.end, _facts(rows.get(one.run.id, {}))) for one in kept]


def _panel(title: str, axis: str, column: str, members: Iterable[tuple[str, str, str, Sequence[Mapping[str, Any]]]]) -> list[Panel]:
    """The panel of one column of curves; none where no curve has a value of it."""
    lines: dict[str, list[Curve]] = {}
    for label, front, end, entries in members:
        values = {int(entry["epoch"]): float(entry[column]) for entry in entries if entry.get(column) is not None}
        if values:
            lines.setdefault(label, []).append(Curve(front, end, values))
    return [Panel(title, axis, lines)] if lines else []


def _config(kept: Learned) -> dict[str, Any]:
    return kept.run.config.model_dump()


def _place(kept: Learned) -> str:
    front, end = (str(_config(kept)[name]) for name in ("front_layer", "end_layer"))
    return front if front == end else f"{front}{ARROW}{end}"


def _ends(kept: Learned) -> tuple[str, str]:
    return str(_config(kept)["front_network"]), str(_config(kept)["end_network"])


def _case(kept: Learned) -> str:
    return str(kept.run.labels.get("case") or _config(kept)["stitcher"])


def _title(kept: Learned) -> str:
    """The case, the two networks with their layers, and the run."""
    said = _config(kept)
    ends = [f"{said[f'{end}_arch']}:{said[f'{end}_seed']} {said[f'{end}_layer']}" for end in ("front", "end")]
    return f"{_case(kept)} · {' → '.join(ends)} · run {kept.run.id}"


def _facts(row: Mapping[str, Any]) -> str:
    there = {name: row.get(name) for name in FACTS}
    numbers = {name: float(nan if value is None else value) for name, value in there.items()}
    return " · ".join(FACTS[name][0].format(FACTS[name][1] * value) for name, value in numbers.items() if isfinite(value))
