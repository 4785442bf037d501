"""Owns what a methods text says of statistics: how means and their spread are made, and how two columns are compared."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from repsim.report.page.citations import cite
from repsim.report.page.saying import listed, span
from repsim.report.wording import NOUNS, UNITS

Table = Mapping[str, Any]
SOURCES = {"jackknife": ("arvesen1969", "efron1993"), "bootstrap": ("snijders1999", "owen2012", "hesterberg2015")}


def statistics(tables: Sequence[Table]) -> Iterator[str]:
    """Of tables that share rows, columns and spread: the means, then the paired comparisons."""
    if not tables:
        return
    unit, units = NOUNS[tables[0]["unit_of_mean"]]
    one = "pair of networks" if unit == "pair" else unit
    yield f"Runs of one {one} are averaged first; numbers are means over {units} with {_spread(tables, units)}."
    lines = [line for table in tables if table["comparison"] for line in table["comparison"]["records"]]
    if lines:
        yield from _comparison(lines)


def _spread(tables: Sequence[Table], units: str) -> str:
    """What stands behind ±, and why pairs that share a network need it so."""
    asked = tables[0]["definition"]["spread"]
    if asked == "std":
        return "their standard deviation"
    how = "bootstrap" if asked == "bootstrap" else "jackknife"
    kinds: dict[str, set[int]] = {}
    for cell in (cell for table in tables for cell in table["cells"] if cell[4] is not None):
        kinds.setdefault(cell[-1], set()).add(cell[-2])
    over = listed(UNITS[how][kind].format(span(n)) for kind, n in sorted(kinds.items())) if kinds else "none could be formed"
    shared = kinds.keys() - {"pairs"} and tables[0]["unit_of_mean"] == "pair"
    drawn = kinds and how == "bootstrap"
    sources = cite(*SOURCES[how]) if shared or drawn else ""
    return f"95 % intervals ({over}){sources}{': pairs that share a network are not independent' if shared else ''}"


def _comparison(lines: Sequence[Table]) -> Iterator[str]:
    """The test of differences between two columns, its adjustment, and the effect size."""
    what = listed(dict.fromkeys(f"{line['a']} with {line['b']}" for line in lines))
    signs = any(line["p_signs"] is not None for line in lines)
    exact = "; beside it stands an exact p over all sign flips of units that share no network" if signs else ""
    yield (
        f"Compared are {what}, by their differences over what both have: t is the mean difference by its jackknife error over "
        f"independent units{cite('arvesen1969')}, with one degree of freedom less than there are units; two-sided p, adjusted by "
        f"Holm over all rows{cite('holm1979')}{exact}. The effect size d is the mean difference by its standard deviation, with "
        f"Hedges' correction{cite('hedges1981')}."
    )
