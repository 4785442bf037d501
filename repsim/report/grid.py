"""Owns the small grid of a status: how many runs are done, failed and left, for two axes of a sweep."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from repsim.job import RunId
from repsim.state import Standing, State
from repsim.sweep.expand import Sweep
from repsim.sweep.filters import reader
from repsim.sweep.run import labels, values

MAX_ROWS, MAX_COLUMNS = 40, 12
MARGIN = " " * 12
CASE = "case"
Words = Iterable[str]


def grid_json(sweep: Sweep, states: Mapping[RunId, Standing], rows: str | None, cols: str | None) -> dict[str, Any]:
    """Cells by row and column. The axes are any two fields, else cases and (front) layers; where runs have no layer, architectures.

    Raises SpecError for a name that is no field.
    """
    across, along = axes(sweep, rows, cols)
    counts = Counter(zip(across, along, (states[run.id].state for run in sweep.runs), strict=True))
    cells: dict[tuple[str, str], Counter[str]] = {}
    for (row, col, state), count in counts.items():
        cells.setdefault((row, col), Counter())[_third(state)] += count
    found = [{"row": row, "col": col, **{key: c[key] for key in ("done", "failed", "left")}} for (row, col), c in cells.items()]
    return {"grid": found, "grid_axes": names(sweep, rows, cols)}


def axes(sweep: Sweep, rows: str | None = None, cols: str | None = None) -> tuple[Words, Words]:
    """What stands at each run along both axes."""
    return _axis(sweep, rows, _cases), _axis(sweep, cols, _layers)


def names(sweep: Sweep, rows: str | None = None, cols: str | None = None) -> dict[str, str]:
    """What the axes are called."""
    return {"rows": rows or CASE, "cols": cols or ("layer" if _layer_field(sweep) else "arch")}


def grid_lines(grid: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line per row: done of all, per column; `!` marks failures. Nothing where that would fill the screen."""
    cols, rows = (list(dict.fromkeys(cell[key] for cell in grid)) for key in ("col", "row"))
    if not 1 <= len(cols) <= MAX_COLUMNS or len(rows) > MAX_ROWS:
        return []
    cells = {(cell["row"], cell["col"]): _cell(cell) for cell in grid}
    width = max(map(len, rows))
    widths = {col: max(len(col), *(len(cells.get((row, col), "")) for row in rows)) for col in cols}
    head = [f"{'':<{width}}  " + "  ".join(f"{col:>{widths[col]}}" for col in cols)] if any(cols) else []
    lines = [f"{row:<{width}}  " + "  ".join(f"{cells.get((row, col), '–'):>{widths[col]}}" for col in cols) for row in rows]
    return [MARGIN + line for line in [*head, *lines]]


def _axis(sweep: Sweep, key: str | None, otherwise: Callable[[Sweep], Words]) -> Words:
    """What stands at each run of the sweep."""
    return otherwise(sweep) if key is None else map(reader(key, sweep), sweep.runs)


def _cases(sweep: Sweep) -> Words:
    return (str(case or sweep.spec.job) for case in labels(sweep.runs, CASE))


def _layers(sweep: Sweep) -> Words:
    field = _layer_field(sweep)
    return map(str, values(sweep.runs, field) if field else labels(sweep.runs, "arch", ""))


def _layer_field(sweep: Sweep) -> str | None:
    """The field that names the layer of a run, where it has one."""
    fields = sweep.jobs[sweep.spec.job].config.model_fields
    return next((name for name in ("front_layer", "layer") if name in fields), None)


def _third(state: State) -> str:
    return state.value if state in (State.DONE, State.FAILED) else "left"


def _cell(cell: Mapping[str, Any]) -> str:
    total = cell["done"] + cell["failed"] + cell["left"]
    return f"{cell['done']}/{total}" + (f" {cell['failed']}!" if cell["failed"] else "")
