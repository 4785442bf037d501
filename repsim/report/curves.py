"""Owns the picture of the learning curves of trainings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from repsim.errors import InputError
from repsim.report import style
from repsim.report.saving import check_suffix, save

Curve = Mapping[str, Any]
"""One training, as `sweep.curves.of_training` tells of it."""
FAINT = {"linewidth": 0.8, "alpha": 0.35, "marker": ".", "markersize": 3}


def draw(curves: Sequence[Curve], path: Path) -> None:
    """Accuracy by epoch to `path`: what each was scored on in full, the steps of training faint beside it.

    Raises UserError for a suffix other than .png, .svg, .pdf, for curves without a score, and for a folder that cannot be written.
    """
    check_suffix(path)
    if not any(_points(curve, f"{curve['scored_on']}_accuracy") for curve in curves):
        do = "train with eval_every: 1"
        raise InputError("there is nothing to draw: no epoch was scored", where=", ".join(c["run_id"] for c in curves), do=do)
    save(picture(curves), path)


def picture(curves: Sequence[Curve]) -> Figure:
    """What `draw` saves; at least one curve has a score."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for i, curve in enumerate(curves):
        colour, _, dash, *_ = style.look(i)
        axes.plot(*_line(curve, "train_accuracy"), color=colour, linestyle=dash, **FAINT)
        scored = _line(curve, f"{curve['scored_on']}_accuracy")
        axes.plot(*scored, color=colour, linestyle=dash, marker=".", label=_name(curve))  # one epoch alone makes no line
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel(f"accuracy on {' and '.join(sorted({curve['scored_on'] for curve in curves}))} images\n(faint: training steps)")
    axes.grid(color="0.9", linewidth=0.6)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", fontsize="small", frameon=False)
    return figure


def _name(curve: Curve) -> str:
    return f"{curve['label']}: {curve['accuracy']:.4f} on {curve['test_images']:,} test images"


def _line(curve: Curve, name: str) -> tuple[list[int], list[float]]:
    """Epochs and values, where there are any."""
    points = _points(curve, name)
    return [epoch for epoch, _ in points], [value for _, value in points]


def _points(curve: Curve, name: str) -> list[tuple[int, float]]:
    return [(entry["epoch"], entry[name]) for entry in curve["curve"] if entry.get(name) is not None]
