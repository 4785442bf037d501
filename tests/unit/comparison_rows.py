"""Owns comparisons without networks: the fields that a sweep expects and the rows that a store would hold."""

from typing import Any

FIELDS: dict[str, Any] = {"dataset": "d", "front_arch": "net", "end_arch": "net", "view": None, "front_rank": None}
LAYERS = ("bn1", "bn2", "bn10")
ORDER = dict.fromkeys("abcd", LAYERS)


def expected(pairs=(("a", "b"),), fronts=LAYERS, ends=LAYERS, measures=("cka",), **axes) -> list[dict[str, Any]]:
    """One run per pair, front layer, end layer, measure, and value of each further field."""
    variants: list[dict[str, Any]] = [{}]
    for name, values in axes.items():
        variants = [{**one, name: value} for one in variants for value in values]
    found = []
    for measure in measures:
        for variant in variants:
            for front, end in pairs:
                for f in fronts:
                    for e in ends:
                        ends_of = {"front_network": front, "end_network": end, "front_layer": f, "end_layer": e}
                        seeds = {"front_seed": ord(front[0]) - 97, "end_seed": ord(end[0]) - 97}
                        found.append({**FIELDS, **ends_of, **seeds, "measure": measure, **variant})
    return [{**one, "run_id": f"r{index}"} for index, one in enumerate(found)]


def stored(runs, value, scale="similarity", **more) -> dict[str, dict[str, Any]]:
    """A row per run: `value` of its fields; text in the place of a number is a status without one, None: no row."""
    rows: dict[str, dict[str, Any]] = {}
    for one in runs:
        found = value(one)
        if found is None:
            continue
        said = {"value": None, "status": found} if isinstance(found, str) else {"value": found, "status": "ok"}
        rest = {"null": 0.125, "null_kind": None, "low": None, "high": None}
        rest |= {"scale": scale, "images": 100, "convention": "flatten n=100"}
        rows[one["run_id"]] = {"run_id": one["run_id"], **rest, **said, **more}
    return rows
