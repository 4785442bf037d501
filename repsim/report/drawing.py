"""Owns what `results plot` draws of a sweep: which kind of picture, from what, and into which files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from repsim import frames, tabulating, yamlfile
from repsim.errors import UserError, nearest
from repsim.plotdefinition import PlotDefinition
from repsim.project import Project
from repsim.report import against, bars, gathered, heatmaps, learning, matrix, pareto, plots, saving, scatter, weights
from repsim.sweep import grids
from repsim.sweep.expand import TRAIN, Sweep
from repsim.table import Table

if TYPE_CHECKING:
    import pandas as pd

Pictures = Mapping[str, Figure]
"""By the name of the page; empty where there is one alone."""
FRONT, END = "front_layer", "end_layer"


@dataclass(frozen=True)
class Subject:
    """What is drawn: a sweep, what was asked of its table, and how it is to be drawn."""

    project: Project
    sweep: Sweep
    asked: Mapping[str, Any]
    plot: PlotDefinition
    runs: tuple[str, ...] = ()

    @cached_property
    def found(self) -> "pd.DataFrame":
        """The stored rows."""
        return frames.stored(self.project, self.sweep)

    @cached_property
    def table(self) -> Table:
        """The table that was asked for."""
        return self.built(self.asked)

    def built(self, asked: Mapping[str, Any], found: "pd.DataFrame | None" = None) -> Table:
        """The table of the sweep with other things `asked`, of all its stored rows or of those `found`."""
        rows = self.found if found is None else found
        return tabulating.built(self.project, self.sweep, tabulating.definition(self.sweep, dict(asked)), rows)

    @property
    def about_networks(self) -> bool:
        """Whether the sweep trains networks, and stitches none."""
        return self.sweep.spec.job == TRAIN

    @property
    def says_nothing(self) -> bool:
        """Whether neither the sweep nor who asks says what rows and columns the table has."""
        said = {**self.sweep.spec.table, **{key: value for key, value in self.asked.items() if value}}
        return not {"rows", "cols"} & said.keys()


def subject(
    project: Project, sweep: Sweep, asked: Mapping[str, Any], plot: Mapping[str, Any], runs: tuple[str, ...] = ()
) -> Subject:
    """What is drawn of `sweep`: its `plot` block, changed by what `plot` says. Raises SpecError for what cannot be said."""
    said = {**sweep.spec.plot, **{key: value for key, value in plot.items() if value}}
    return Subject(project, sweep, asked, yamlfile.validate(PlotDefinition, said, str(sweep.path), "plot"), runs)


def usual(subject: Subject) -> str:
    """The kind that suits the table: lines against a number, else a matrix of front and end layers, else points by layer."""
    if subject.plot.panels or against.is_number(subject.table):
        return "lines"
    definition = subject.table.definition
    return "matrix" if (definition.rows[-1], definition.cols[-1]) == (FRONT, END) else "points"


def pictures(subject: Subject) -> Pictures:
    """The pictures of `subject`, one per page. Raises UserError where there is nothing to draw."""
    return KINDS[subject.plot.kind or usual(subject)](subject)


def draw(subject: Subject, path: Path) -> list[Path]:
    """The same as files: `path`, or of several pages NAME_PAGE.png beside it. Raises UserError where one cannot be written."""
    saving.check_suffix(path)
    files = {path.with_stem(f"{path.stem}_{page}") if page else path: figure for page, figure in pictures(subject).items()}
    for file, figure in files.items():
        saving.save(figure, file)
    return list(files)


def svgs(subject: Subject) -> dict[str, str]:
    """The same as `<svg>` elements, by the name of the page."""
    return {page: saving.svg(figure) for page, figure in pictures(subject).items()}


def _bars(subject: Subject) -> Pictures:
    return {page.name: bars.picture(subject.table, page) for page in bars.pages(subject.table)}


def _points(subject: Subject) -> Pictures:
    return {page.name: plots.picture(subject.table, page) for page in plots.pages(subject.table)}


def _lines(subject: Subject) -> Pictures:
    return {"": against.picture(subject.table, subject.plot.panels)}


def _matrix(subject: Subject) -> Pictures:
    """Front × end layers by case where nothing else is said."""
    usual = {"rows": ["case", FRONT], "cols": [END]}
    table = subject.built({**subject.asked, **usual}) if subject.says_nothing else subject.table
    return {name: matrix.picture(table, page) for name, page in matrix.pages(table).items()}


def _scatter(subject: Subject) -> Pictures:
    """Training against direct matching where nothing else is said."""
    y = subject.table.definition.value
    x = subject.plot.across or scatter.across_of(y)
    _known(x, subject)
    rows = scatter.both(subject.found, x, y)
    down, up = (subject.built({**subject.asked, "value": value}, rows) for value in (x, y))
    return {name: scatter.picture(down, up, cols) for name, cols in scatter.pages(up).items()}


def _pareto(subject: Subject) -> Pictures:
    """A picture per device: their seconds have no common axis."""
    definition, expected = subject.table.definition, frames.expected(subject.sweep)
    cost = subject.plot.across or pareto.SECONDS
    found = pareto.with_seconds(subject.found)
    if subject.plot.across:
        _known(cost, subject)
    by_device = pareto.devices(found)
    figures = {}
    for device, rows in by_device.items():
        wanted = expected if len(by_device) == 1 else expected.loc[expected["run_id"].isin(rows["run_id"])]
        mean, price = (pareto.by_case(definition, value, rows, wanted) for value in (definition.value, cost))
        figures[device.replace(" ", "_") if len(by_device) > 1 else ""] = pareto.picture(mean, price, device)
    return figures or _nothing()


def _curves(subject: Subject) -> Pictures:
    """Of the sweep's trainings, and of its saved stitchers."""
    known = {
        "trainings": gathered.trainings(subject.project, subject.sweep, subject.runs),
        "stitchers": gathered.stitchers(subject.project, subject.sweep, subject.runs if not subject.about_networks else ()),
    }
    there = {what: panels for what, panels in known.items() if panels} or {"trainings": []}
    return {
        "_".join(filter(None, [what if len(there) > 1 else "", page])): learning.picture(part, what)
        for what, panels in there.items()
        for page, part in learning.pages(panels).items()
    }


def _similarity(subject: Subject) -> Pictures:
    found = grids.of(subject.project, subject.sweep)
    return {"": heatmaps.picture(found)} if any(matrix.means or matrix.troubles for matrix in found) else _nothing()


def _weights(subject: Subject) -> Pictures:
    items = gathered.maps(subject.project, subject.sweep, subject.found, subject.runs)
    return {name: weights.picture(page) for name, page in weights.pages(items).items()}


def _known(name: str, subject: Subject) -> None:
    """Raise UserError for a column that the rows have not."""
    if name not in subject.found.columns:
        what = f"the rows of job '{subject.sweep.spec.job}' have no column '{name}'"
        raise UserError(what, where="plot.across", do=nearest(name, map(str, subject.found.columns)))


def _nothing() -> Pictures:
    raise UserError("there is nothing to draw: no run has finished", where="plot", do="see: repsim sweep status")


KINDS: Mapping[str, Callable[[Subject], Pictures]] = {
    "bars": _bars,
    "points": _points,
    "lines": _lines,
    "matrix": _matrix,
    "scatter": _scatter,
    "curves": _curves,
    "similarity": _similarity,
    "weights": _weights,
    "pareto": _pareto,
}
