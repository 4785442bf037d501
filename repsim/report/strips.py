"""Owns how much of a table fits on a picture: layers are cut into strips, strips and series into pages, while they can be read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from repsim.errors import UserError
from repsim.report.style import MOST

if TYPE_CHECKING:
    from repsim.table import Key, Table

WIDE = 9.5  # inches of a strip, at most
LEAST = 0.2  # inches per layer, for its name
STRIPS = 8  # on a page
TOGETHER = 6.5  # inches up to which two strips stand side by side


@dataclass(frozen=True)
class Strip:
    """Rows of the table that stand side by side on one x axis: all of one panel (an architecture), or a part of them."""

    panel: "Key"
    rows: tuple["Key", ...]
    inches: float


@dataclass(frozen=True)
class Page:
    """What one picture shows: `name` is empty where there is one alone; `left_out` says what stands on others."""

    strips: tuple[Strip, ...]
    cols: tuple["Key", ...]
    name: str = ""
    left_out: str = ""

    @property
    def across(self) -> int:
        """Strips side by side."""
        return 2 if len(self.strips) > 1 and max(strip.inches for strip in self.strips) <= TOGETHER else 1


def must_hold_a_number(table: "Table") -> None:
    """Raise UserError for a table without any number: no run has finished, or what finished has none."""
    cells = table.cells.values()
    if any(cell.n for cell in cells):
        return
    diverged, undefined = sum(cell.diverged for cell in cells), sum(cell.undefined for cell in cells)
    if undefined:
        what, do = f"no finished run has a {table.definition.value}", "choose another --value"
    elif diverged:
        what, do = f"all runs that finished diverged ({diverged:,})", "change what they are trained with"
    else:
        what, do = "no run has finished", "see: repsim sweep status"
    raise UserError(f"there is nothing to draw: {what}", where="plot", do=do)


def pages(table: "Table", room: float, gap: float) -> list[Page]:
    """The pages of `table`: `room` inches for each of its series at each layer, `gap` inches between layers.

    Raises: UserError for a table of which no run has finished.
    """
    must_hold_a_number(table)
    found = []
    for cols in split(table.col_keys, MOST):
        strips = _strips(table, max(LEAST, len(cols) * room + gap))
        found += [(tuple(cols), tuple(part)) for part in split(strips, STRIPS)]
    if len(found) == 1:
        cols, strips = found[0]
        return [Page(strips, cols)]
    return [
        Page(strips, cols, str(number), f"Page {number} of {len(found)}: {_said(table, cols, strips)}; the rest on the others.")
        for number, (cols, strips) in enumerate(found, 1)
    ]


def split(items: Sequence, most: int) -> list[list]:
    """Parts of about equal size, none larger than `most`."""
    parts = -(-len(items) // most)
    return [list(items[len(items) * i // parts : len(items) * (i + 1) // parts]) for i in range(parts)]


def _strips(table: "Table", each: float) -> list[Strip]:
    panels = list(dict.fromkeys(row[:-1] for row in table.row_keys))
    found = []
    for panel in panels:
        rows = [row for row in table.row_keys if row[:-1] == panel]
        found += [Strip(panel, tuple(part), each * len(part)) for part in split(rows, max(1, int(WIDE / each)))]
    return found


def _said(table: "Table", cols: Sequence["Key"], strips: Sequence[Strip]) -> str:
    """What a page holds of the rows and of the columns."""
    first, last = strips[0].rows[0], strips[-1].rows[-1]
    rows = sum(len(strip.rows) for strip in strips)
    place = " / ".join(table.row_names).replace("_", " ")
    said = [f"{rows} of {len(table.row_keys)} by {place}, {' / '.join(first)} to {' / '.join(last)}"]
    if len(cols) < len(table.col_keys):
        said.append(f"{len(cols)} of {len(table.col_keys)} by {' / '.join(table.col_names).replace('_', ' ')}")
    return "; ".join(said)
