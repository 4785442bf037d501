"""Owns which pictures a report has: each names the tables whose cells it draws, so that a picture holds no number of its own."""

from collections.abc import Sequence
from typing import Any

from repsim.report.bycase import ALL, SECONDS
from repsim.report.page.numbers import Entry
from repsim.tablekeys import LAYERS

Figure = dict[str, Any]
GRIDS = 60  # heat maps that are drawn
LEFT_OUT = ("null_accuracy", "matched_penalty", "residual", "penalty_end")  # drawn against something else, or told by another one


def of(tables: Sequence[Entry], drawn: Sequence[Entry]) -> list[Figure]:
    """The pictures of these tables, in the order in which they are shown."""
    by_id = {one["id"]: one for one in [*tables, *drawn]}
    lines = [_line(one) for one in tables if one["value"] not in LEFT_OUT and _has_numbers(one) and not _is_grid(one)]
    mapped = any(one["page"] for one in drawn)
    own = [_heat(one) for one in tables[:1] if _has_numbers(one) and _is_grid(one) and not mapped]
    lines = [] if mapped else lines  # of pairs of layers a map says more
    return [*lines[:1], *own, *_grids(drawn), *_scatter(by_id), *_pareto(drawn), *lines[1:]]


def is_layer(name: str) -> bool:
    """Whether a name along a side of a table, as it is shown, is that of layers."""
    return name in LAYERS or f"front_{name}" in LAYERS


def _line(table: Entry) -> Figure:
    """Along the side whose last key is a layer, or a number; else along the rows."""
    turned = is_layer(table["col_names"][-1]) and not is_layer(table["row_names"][-1])
    return {"kind": "lines", "id": f"lines-{table['id']}", "table": table["id"], "turned": turned}


def _heat(table: Entry) -> Figure:
    return {"kind": "heat", "id": f"heat-{table['id']}", "table": table["id"]}


def _scatter(by_id: dict[str, Entry]) -> list[Figure]:
    """Task loss against direct matching; none where one of the two tables shows controls that the other has not."""
    both = [by_id[name] for name in ("penalty", "matched_penalty") if name in by_id and _has_numbers(by_id[name])]
    if len(both) < 2 or both[0]["cols"] != both[1]["cols"]:
        return []
    return [{"kind": "scatter", "id": "scatter", "x": "matched_penalty", "y": "penalty"}]


def _pareto(drawn: Sequence[Entry]) -> list[Figure]:
    """Penalty against seconds, of the columns of the table over all its rows; a picture per device."""
    pools = [one for one in drawn if one["cols"] == [[ALL]]]
    both = [(up, along) for up, along in zip(pools[::2], pools[1::2], strict=True) if _has_numbers(up) and _has_numbers(along)]
    return [
        {"kind": "pareto", "id": "pareto" + along["id"].removeprefix(f"pooled-{SECONDS}"), "x": along["id"], "y": up["id"]}
        | ({"device": up["device"]} if len(both) > 1 else {})
        for up, along in both
        if "penalty" in up["value"] and len(up["rows"]) > 1
    ]


def _grids(drawn: Sequence[Entry]) -> list[Figure]:
    return [_heat(one) for one in drawn if one["page"] and _has_numbers(one)][:GRIDS]


def _is_grid(table: Entry) -> bool:
    return is_layer(table["row_names"][-1]) and is_layer(table["col_names"][-1])


def _has_numbers(table: Entry) -> bool:
    return any(cell[2] is not None for cell in table["cells"])
