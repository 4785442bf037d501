"""Owns what the `plot` block of a sweep, or of a definition of a table, may say."""

from typing import Literal

from repsim.yamlfile import Strict

Kind = Literal["bars", "points", "lines", "matrix", "scatter", "curves", "similarity", "weights", "pareto"]


class PlotDefinition(Strict):
    """How a table, or a sweep, is drawn where nothing else is said.

    Attributes:
        kind: none: by what the table is (see `report.drawing.usual`).
        panels: of lines: y axis → columns of the table that are drawn against it; none: all in one.
        across: of scatter and pareto: the number along x.
    """

    kind: Kind | None = None
    panels: dict[str, list[str]] = {}
    across: str | None = None
