"""Owns what each case of a table yields and costs over all its rows: pooled means, seconds by work, and which no other beats."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from repsim import table as tables
from repsim import tablecontrols, tablefilter
from repsim.table import Table, TableDefinition

if TYPE_CHECKING:
    import pandas as pd

SECONDS = "seconds_by_work"  # the column of costs
DIGITS = 9  # of a cost: what follows is rounding
POOL, ALL = "pool", "all layers"
GROUP = ["submission", "group", "started"]


def with_seconds(found: "pd.DataFrame") -> "pd.DataFrame":
    """`found` with one more column: seconds of the run's group × its work / the work of the group.

        seconds_by_work = Σ_group run_seconds · work / Σ_group work

    The store gives every run of a group the same seconds, so that they say nothing about what a case costs; its work (images
    that pass through a network, where the job counts these) does. Where the work of a group is nothing the equal share stays.
    Rows of other sweeps in the group do not count on either side.
    """
    if found.empty or not {"run_seconds", "work", *GROUP} <= set(found.columns):
        return found
    by = found.groupby(GROUP, dropna=False)
    work, taken = (by[name].transform("sum").to_numpy(float) for name in ("work", "run_seconds"))
    own, equal = (found[name].to_numpy(float) for name in ("work", "run_seconds"))
    return found.assign(**{SECONDS: np.divide(taken * own, work, out=equal.copy(), where=work > 0)})


def by_device(definition: TableDefinition, found: "pd.DataFrame", expected: "pd.DataFrame") -> dict[str, TableDefinition]:
    """What computed the runs that are shown, a card by its name or else the device → the definition of the table of its runs.

    Seconds of two devices have no common axis. Of a single one the definition stays as it is; none where nothing has finished.
    """
    definition = tablefilter.spelled(definition, [*map(str, expected.columns), *map(str, found.columns)])
    shown = tablefilter.filtered(definition, tablefilter.joined(definition, found, expected)[0])
    kinds = found.loc[found["run_id"].isin(shown["run_id"]), ["device", "gpu"]].drop_duplicates()
    on = [("device", device) if gpu is None or gpu != gpu else ("gpu", gpu) for device, gpu in kinds.itertuples(index=False)]
    if len(on) < 2:
        return {name: definition for _, name in on}
    return {name: definition.model_copy(update={"where": {**definition.where, key: [name]}}) for key, name in on}


def pooled(definition: TableDefinition, value: str, found: "pd.DataFrame", expected: "pd.DataFrame") -> Table:
    """A table of one column: the mean of `value` over all cells of each column of `definition`; negative controls are left out."""
    points = definition.points if value == definition.value else None
    rows = [key for key in definition.cols if not (definition.controls and key == tablecontrols.CONTROL)]
    changed = {"rows": rows, "cols": [POOL], "value": value, "points": points, "pages": [], "compare": [], "controls": False}
    return tables.build(definition.model_copy(update=changed), found, expected.assign(**{POOL: ALL}))


def front(points: Mapping[Any, tuple[float, float]], less: bool = True) -> list[Any]:
    """The keys of `points` (cost, value) that no other point beats in one without losing in the other, by rising cost.

    Costs that differ by rounding alone are one cost, as those of stitchers of equal epochs that were packed together.
    """
    sign = 1 if less else -1
    ordered = sorted(points, key=lambda key: (float(f"{points[key][0]:.{DIGITS}g}"), sign * points[key][1]))
    found, best = [], float("inf")
    for key in ordered:
        if sign * points[key][1] < best:
            found.append(key)
            best = sign * points[key][1]
    return found
