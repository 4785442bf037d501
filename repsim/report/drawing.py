"""Owns what `results plot` draws of a sweep: which kind of picture, from what, and into which files."""

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from repsim import frames, tabulating, yamlfile
from repsim.errors import UserError
from repsim.plotdefinition import PlotDefinition
from repsim.project import Project
from repsim.report import (
    against,
    bars,
    bycase,
    gathered,
    heatmaps,
    learning,
    matrix,
    pareto,
    plotoptions,
    plots,
    saving,
    scatter,
    style,
    weights,
)
from repsim.sweep import grids
from repsim.sweep.expand import TRAIN, Sweep
from repsim.table import Table, TableDefinition
from repsim.tablefiles import Filed

if TYPE_CHECKING:
    import pandas as pd

Pictures = Mapping[str, Figure]
"""By the name of the page; empty where there is one alone."""
FRONT, END = "front_layer", "end_layer"


@dataclass(frozen=True)
class Subject:
    """What is drawn: a sweep, what was asked of its table, and how it is to be drawn.

    `given` are the options that go with some kinds alone, by name, as far as they were given.
    """

    project: Project
    sweep: Sweep
    asked: Mapping[str, Any]
    plot: PlotDefinition
    runs: tuple[str, ...] = ()
    filed: Filed | None = None
    given: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def found(self) -> "pd.DataFrame":
        """The stored rows."""
        return frames.stored(self.project, self.sweep)

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """The tables that were asked for, one per page."""
        return self.built({})

    @property
    def definition(self) -> TableDefinition:
        """What they show."""
        return self.tables[0].definition

    def built(self, changed: Mapping[str, Any], found: "pd.DataFrame | None" = None, controlled: bool = True) -> tuple[Table, ...]:
        """The tables of the sweep with other things asked, of all its stored rows or of those `found`.

        `controlled`: with negative controls where they are asked for.
        """
        definition = tabulating.definition(self.sweep, {**self.asked, **changed}, self.filed)
        left = {"compare": [], "controls": definition.controls and controlled}  # a picture need not have the columns compared
        definition = definition.model_copy(update=left)
        return tabulating.pages(self.project, self.sweep, definition, self.found if found is None else found)

    @property
    def value(self) -> str:
        """The number that is shown."""
        return tabulating.definition(self.sweep, dict(self.asked), self.filed).value

    @property
    def about_networks(self) -> bool:
        """Whether the sweep trains networks, and stitches none."""
        return self.sweep.spec.job == TRAIN

    @property
    def says_nothing(self) -> bool:
        """Whether neither the sweep nor who asks says what rows and columns the table has."""
        asked = {key: value for key, value in self.asked.items() if value}
        said = {**self.sweep.spec.table, **(self.filed.said if self.filed else {}), **asked}
        return not {"rows", "cols"} & said.keys()


def subject(
    opened: tuple[Project, Sweep, Filed | None], asked: Mapping[str, Any], plot: Mapping[str, Any], runs: tuple[str, ...] = ()
) -> Subject:
    """What is drawn: the `plot` block of a sweep, changed by that of a definition of a table, changed by what `plot` says.

    Raises: SpecError for what a file cannot say; UserError for an option that cannot be meant.
    """
    project, sweep, filed = opened
    plotoptions.known_kind(plot.get("kind"), KINDS)
    said = {**sweep.spec.plot, **(filed.plot if filed else {}), **{key: value for key, value in plot.items() if value}}
    where = str(filed.path if filed and filed.plot else sweep.path)
    definition = yamlfile.validate(PlotDefinition, said, where, "plot")
    given = {"--run": runs, "--across": plot.get("across")}
    if definition.across:
        plotoptions.column(definition.across, sweep, "--across" if given["--across"] else f"{where}: plot.across")
    return Subject(project, sweep, asked, definition, runs, filed, given)


def usual(subject: Subject) -> str:
    """The kind that suits the table: lines against a number, else a matrix of front and end layers, else points by layer."""
    if subject.plot.panels or against.is_number(subject.tables[0]):
        return "lines"
    definition = subject.definition
    return "matrix" if (definition.rows[-1], definition.cols[-1]) == (FRONT, END) else "points"


def pictures(subject: Subject) -> Pictures:
    """The pictures of `subject`, one per page. Raises UserError where there is nothing to draw, and for options of other kinds."""
    kind = subject.plot.kind or usual(subject)
    plotoptions.fit(kind, subject.given)
    with _fonts():
        return KINDS[kind](subject)


def draw(subject: Subject, path: Path) -> list[Path]:
    """The same as files: `path`, or of several pages NAME_PAGE.png beside it. Raises UserError where one cannot be written."""
    saving.check_suffix(path)
    files = {path.with_stem(f"{path.stem}_{page}") if page else path: figure for page, figure in pictures(subject).items()}
    for file, figure in files.items():
        with _fonts():  # names of ticks come into being only now
            saving.save(figure, file)
    return list(files)


def svgs(subject: Subject) -> dict[str, str]:
    """The same as `<svg>` elements, by the name of the page."""
    drawn = pictures(subject)
    with _fonts():
        return {page: saving.svg(figure) for page, figure in drawn.items()}


def _fonts() -> AbstractContextManager[None]:
    return rc_context({"font.family": style.families()})


def _bars(subject: Subject) -> Pictures:
    return {_name(table, page.name): bars.picture(table, page) for table in subject.tables for page in bars.pages(table)}


def _points(subject: Subject) -> Pictures:
    return {_name(table, page.name): plots.picture(table, page) for table in subject.tables for page in plots.pages(table)}


def _lines(subject: Subject) -> Pictures:
    drawn = ((table, name, page) for table in subject.tables for name, page in against.pages(table, subject.plot.panels).items())
    return {_name(table, name): against.picture(table, subject.plot.panels, page) for table, name, page in drawn}


def _matrix(subject: Subject) -> Pictures:
    """Front × end layers by case where nothing else is said."""
    usual = {"rows": ["case", FRONT], "cols": [END]}
    tables = subject.built(usual) if subject.says_nothing else subject.tables
    return {_name(table, name): matrix.picture(table, page) for table in tables for name, page in matrix.pages(table).items()}


def _name(table: Table, page: str = "") -> str:
    """Of a page: the key of the table among those of its definition, and the page of its picture; fit for the name of a file."""
    return "_".join(filter(None, [re.sub(r"[^\w.-]+", "_", "_".join(table.page)), page]))


def _scatter(subject: Subject) -> Pictures:
    """Training against direct matching where nothing else is said."""
    y = subject.definition.value
    x = subject.plot.across or plotoptions.partner(y, subject.sweep)
    rows = scatter.both(subject.found, x, y)
    controlled = all(tabulating.controlled(subject.sweep, name, rows) for name in (x, y))
    both = zip(*(subject.built({"value": name}, rows, controlled) for name in (x, y)), strict=True)
    return {_name(up, page): scatter.picture(right, up, cols) for right, up in both for page, cols in scatter.pages(up).items()}


def _pareto(subject: Subject) -> Pictures:
    """A picture per device: their seconds have no common axis."""
    cost, expected = subject.plot.across or bycase.SECONDS, frames.expected(subject.sweep)
    found = bycase.with_seconds(subject.found)
    by_device = bycase.by_device(subject.definition, found, expected)
    figures = {}
    for device, definition in by_device.items():
        mean, price = (bycase.pooled(definition, value, found, expected) for value in (definition.value, cost))
        on = device.replace(" ", "_") if len(by_device) > 1 else ""
        for name, page in pareto.pages(mean, price).items():
            figures["_".join(filter(None, [on, name]))] = pareto.picture(mean, price, device, page)
    return figures or _nothing()


def _curves(subject: Subject) -> Pictures:
    """Of the sweep's trainings, and of its saved stitchers."""
    known = {
        "trainings": gathered.trainings(subject.project, subject.sweep, subject.runs),
        "stitchers": gathered.stitchers(subject.project, subject.sweep, subject.runs if not subject.about_networks else ()),
    }
    there = {what: panels for what, panels in known.items() if panels} or {"trainings": []}
    return {
        "_".join(filter(None, [what if len(there) > 1 else "", page])): learning.picture(part, what, panels)
        for what, panels in there.items()
        for page, part in learning.pages(panels).items()
    }


def _similarity(subject: Subject) -> Pictures:
    found = grids.of(subject.project, subject.sweep)
    return {"": heatmaps.picture(found)} if any(matrix.means or matrix.troubles for matrix in found) else _nothing()


def _weights(subject: Subject) -> Pictures:
    items = gathered.maps(subject.project, subject.sweep, subject.found, subject.runs)
    return {name: weights.picture(page) for name, page in weights.pages(items).items()}


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
