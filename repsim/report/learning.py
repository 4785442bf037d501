"""Owns the picture of learning curves as means: epochs along x, one line per case or kind of network, a band over its seeds."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite, nan
from textwrap import fill
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from repsim import interval
from repsim.errors import UserError
from repsim.report import bylayer, strips, style

COLUMNS = 3  # panels side by side
PANELS = 9  # of a page
FEW, LINES = 12, 5  # up to so many curves of a line, and lines of a panel, each curve is drawn faintly beside the mean


class Curve(NamedTuple):
    """One network (`front` and `end` are the same), or one stitch between two: values by epoch."""

    front: str
    end: str
    values: Mapping[int, float]


@dataclass(frozen=True)
class Panel:
    """Curves by the name of their line; `value` names the y axis, with its unit."""

    title: str
    value: str
    lines: Mapping[str, Sequence[Curve]]


def pages(panels: Sequence[Panel]) -> dict[str, list[Panel]]:
    """Panels by page, with no more lines than can be told apart; the name is empty where there is one page alone.

    Raises: UserError where there is no curve.
    """
    if not any(curve.values for panel in panels for curves in panel.lines.values() for curve in curves):
        do = "train with eval_every: 1, or keep stitchers with save: true"
        raise UserError("there is nothing to draw: no learning curve is stored", where="plot", do=do)
    some = [[_of(panel, names) for panel in panels] for names in strips.split(_names(panels), style.MOST)]
    parts = [part for one in some for part in strips.split([panel for panel in one if panel.lines], PANELS)]
    return {str(number) if len(parts) > 1 else "": part for number, part in enumerate(parts, 1)}


def picture(panels: Sequence[Panel], what: str, of: Sequence[Panel] = ()) -> Figure:
    """Mean of each line and its 95 % interval as a band, single curves faint where few; `what`: "trainings", "stitchers".

    Args:
        of: all panels of which these are a page.

    Raises: UserError where there is no curve.
    """
    (panels, *_) = pages(panels).values()
    names = _names(panels)
    left = len(set(_names(of)) - set(names))
    across = min(len(panels), COLUMNS)
    down = -(-len(panels) // across)
    columns, beside = bylayer.legend([(f"{name} ({_count(panels, name)})",) for name in names], 3.0 * down)
    width = max(4.6, 3.4 * across) + beside
    figure = Figure(figsize=(width, 3.0 * down + 1.3), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(down, across, squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _panel(axes, panel, names)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    for index, name in enumerate(names):
        look = style.look(index)
        grid[0, 0].plot(
            [], [], color=look.colour, linestyle=look.dash, marker=look.marker, label=f"{name} ({_count(panels, name)})"
        )
    said = f"{left} further lines stand on the other pages." if left else ""
    _words(figure, panels, (what, said), width, columns)
    return figure


def _names(panels: Sequence[Panel]) -> list[str]:
    """The lines of all panels, each once."""
    return list(dict.fromkeys(name for panel in panels for name in panel.lines))


def _of(panel: Panel, names: Collection[str]) -> Panel:
    """The panel with these lines alone."""
    return replace(panel, lines={name: curves for name, curves in panel.lines.items() if name in names})


def mean(curves: Sequence[Curve]) -> dict[int, interval.Interval]:
    """By epoch: mean and interval over the curves that have a finite value there; stitches of one pair are averaged first."""
    found = {}
    for epoch in sorted({epoch for curve in curves for epoch in curve.values}):
        pairs: dict[tuple[str, str], list[float]] = {}
        for curve in curves:
            if isfinite(value := curve.values.get(epoch, nan)):
                pairs.setdefault((curve.front, curve.end), []).append(value)
        if pairs:
            values = [sum(of_pair) / len(of_pair) for of_pair in pairs.values()]
            found[epoch] = interval.over_pairs(values, [front for front, _ in pairs], [end for _, end in pairs])
    return found


def _panel(axes: Axes, panel: Panel, names: Sequence[str]) -> None:
    for name, curves in panel.lines.items():
        look, means = style.look(names.index(name)), mean(curves)
        if 1 < len(curves) <= FEW and len(panel.lines) <= LINES:
            for curve in curves:
                axes.plot(list(curve.values), list(curve.values.values()), color=look.colour, linewidth=0.6, alpha=0.3)
        middle = [one.mean for one in means.values()]
        every = max(1, len(middle) // 10)
        mark = {"marker": look.marker, "markersize": 4, "markevery": every}
        axes.plot(list(means), middle, color=look.colour, linestyle=look.dash, linewidth=1.3, **mark)
        low, high = ([one.mean + sign * one.half for one in means.values()] for sign in (-1, 1))
        axes.fill_between(list(means), low, high, color=look.colour, alpha=0.15, linewidth=0)
    axes.set_title(panel.title, fontsize="medium")
    axes.set_xlabel("epoch")
    axes.set_ylabel(panel.value)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color="0.9", linewidth=0.6)


def _count(panels: Sequence[Panel], name: str) -> str:
    """ "n = 6": curves of a line, or the range over panels."""
    counts = sorted({len(panel.lines[name]) for panel in panels if name in panel.lines})
    return f"n = {counts[0]}" if len(counts) == 1 else f"n = {counts[0]}–{counts[-1]}"


def _words(figure: Figure, panels: Sequence[Panel], texts: tuple[str, str], width: float, columns: int) -> None:
    what, others = texts
    total = sum(len(curves) for curves in panels[0].lines.values())
    figure.suptitle(fill(f"Learning curves of {what}, n = {total}", int(width * 9)), fontsize="large")
    handles = figure.axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside right center", fontsize="small", frameon=False, handlelength=3, ncols=columns)
    bands = {one.over for panel in panels for curves in panel.lines.values() for one in mean(curves).values() if isfinite(one.half)}
    said = (
        f"Lines: mean. Bands: 95 % interval over {' or '.join(sorted(bands))}."
        if bands
        else "Lines: mean; too few for an interval."
    )
    few = any(len(panel.lines) <= LINES and 1 < len(curves) <= FEW for panel in panels for curves in panel.lines.values())
    said += " Faint: single curves." if few else ""
    said = f"{said} {others}".strip()
    figure.supxlabel(fill(said, int(width * 15)), fontsize="x-small", x=0.02, ha="left")
