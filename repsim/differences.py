"""Owns what changed between two tidy tables of runs that are the same: number by number, text by text, and on the whole.

What is measured is counted apart from what differs each time (seconds, memory, when, where): those are no changes of a result.
Nothing equals nothing, and nan equals nan.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

import numpy as np

from repsim import columns
from repsim.compared import Numbers, Pair, Paired, Texts
from repsim.dictionary import ASKED, LABEL, MEASURED, PROVENANCE
from repsim.errors import UserError, nearest
from repsim.matched import Matched, match
from repsim.schema import KEY
from repsim.tabledefinition import MADE_BY, TableDefinition
from repsim.tidy import Tidy
from repsim.units import TIME

PASSING = frozenset({"group", "submission", "attempt", "started", "run_seconds", "peak_memory_gb", "work", "slurm_job"})
"""Provenance that says when and beside what a run was computed: it always differs."""


@dataclass(frozen=True)
class Group:
    """Of the runs of one group (or of all): how many are in both, in how many something measured changed, the paired difference."""

    key: tuple[str, ...]
    runs: int
    changed: int
    paired: Paired | None


@dataclass(frozen=True)
class Differences:
    """All that differs between a and b; `mixed`: the number is that of several measures (or detectors): there is no mean."""

    matched: Matched
    numbers: tuple[Numbers, ...]
    texts: tuple[Texts, ...]
    times: tuple[str, ...]
    asked: tuple[Texts, ...]
    provenance: tuple[Texts, ...]
    only_columns: tuple[tuple[str, ...], tuple[str, ...]]
    whole: Group
    by: tuple[str, ...]
    groups: tuple[Group, ...]
    mixed: bool = False

    @property
    def changed(self) -> bool:
        """Whether a result changed, or a run came or went; times, hosts and versions are none."""
        return bool(self.whole.changed or len(self.matched.only_a) or len(self.matched.only_b))


def differences(
    a: Tidy, b: Tidy, tolerance: float = 0.0, ignore: Collection[str] = (), by: Sequence[str] = (), value: str | None = None
) -> Differences:
    """What changed from a to b.

    Args:
        tolerance: numbers that differ by no more count as equal.
        ignore: columns in which the same run may have been asked for differently.
        by: columns of a that make groups.
        value: the number whose paired difference is told; by default that of the sweep's table.

    Raises: UserError for tables of two jobs and for unknown columns.
    """
    matched = match(a, b, ignore)
    pair = Pair(a, b, matched)
    measured = pair.both(MEASURED)
    times = [name for name in measured if _unit(a, name) in TIME]
    rest = [name for name in measured if name not in times and name != KEY]
    moved, numbers, texts = np.zeros(len(matched.a), bool), [], []
    for name in rest:
        mask, told = pair.compared(name, tolerance)
        moved |= mask
        (numbers if isinstance(told, Numbers) else texts).append(told)
    shown = _value(a, b, value)
    whole = _group(pair, (), np.arange(len(moved)), moved, shown)
    return Differences(
        matched=matched,
        numbers=tuple(numbers),
        texts=tuple(texts),
        times=tuple(name for name in times if pair.compared(name, tolerance)[0].any()),
        asked=pair.otherwise(pair.both(ASKED, LABEL)),
        provenance=pair.otherwise([name for name in pair.both(PROVENANCE) if name not in PASSING]),
        only_columns=(_only(a, b), _only(b, a)),
        whole=whole,
        by=tuple(by),
        groups=_groups(pair, by, moved, shown),
        mixed=_mixed(pair, shown, np.arange(len(moved))),
    )


def plain(found: Differences, a: Tidy, b: Tidy) -> dict[str, Any]:
    """As data, to be written as JSON; what is no number is null."""
    told = {"facts_a": a.facts, "facts_b": b.facts, "both": len(found.matched.a), "matched_by": found.matched.by}
    told |= {"unclear": found.matched.unclear, "only_a": _ids(a, found.matched.only_a), "only_b": _ids(b, found.matched.only_b)}
    told |= {"changed": found.changed, "numbers": list(map(asdict, found.numbers)), "texts": list(map(asdict, found.texts))}
    told |= {"times": found.times, "asked": list(map(asdict, found.asked)), "provenance": list(map(asdict, found.provenance))}
    told |= {"only_columns": found.only_columns, "whole": asdict(found.whole), "by": found.by}
    return _finite(told | {"groups": list(map(asdict, found.groups))})


def _ids(tidy: Tidy, rows: np.ndarray) -> list[str]:
    return tidy.table[KEY].take(rows).to_pylist()


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not isfinite(data) else data


def _unit(tidy: Tidy, name: str) -> str:
    return next((one.unit for one in tidy.entries if one.column == name), "")


def _only(a: Tidy, b: Tidy) -> tuple[str, ...]:
    return tuple(name for name in a.table.column_names if name not in b.table.column_names)


def _value(a: Tidy, b: Tidy, asked: str | None) -> tuple[str, bool] | None:
    """The number whose difference is told, and whether in points; None where the sweep's table shows none."""
    table = a.facts.get("table") or {}
    if asked is None:
        asked = table.get("value")
    if asked is None:
        return None
    both = [name for name in a.table.column_names if name in b.table.column_names]
    if asked not in both:
        raise UserError(f"there is no column '{asked}' in both", where="--value", do=nearest(asked, both))
    if asked == table.get("value"):
        return asked, bool(table.get("points"))
    return asked, TableDefinition.model_validate({"value": asked}).in_points


def _mixed(pair: Pair, shown: tuple[str, bool] | None, rows: np.ndarray) -> bool:
    """Whether the number to be told is that of several measures, or detectors."""
    name = MADE_BY.get(shown[0]) if shown else None
    return name is not None and name in pair.a.table.column_names and len(pair.column(name, rows).unique()) > 1


def _groups(pair: Pair, by: Sequence[str], moved: np.ndarray, shown: tuple[str, bool] | None) -> tuple[Group, ...]:
    """The groups in order of first appearance."""
    if not by or not len(moved):
        return ()
    place, keys = columns.together(*map(columns.codes, pair.keys(by)))
    of = np.split(np.argsort(place, kind="stable"), np.cumsum(np.bincount(place))[:-1])
    said = [tuple("–" if one is None else str(one) for one in key) for key in keys]
    order = sorted(range(len(keys)), key=lambda group: of[group][0])
    return tuple(_group(pair, said[group], of[group], moved, shown) for group in order)


def _group(pair: Pair, key: tuple[str, ...], rows: np.ndarray, moved: np.ndarray, shown: tuple[str, bool] | None) -> Group:
    paired = pair.paired(*shown, rows) if shown and not _mixed(pair, shown, rows) else None
    return Group(key, len(rows), int(moved[rows].sum()), paired)
