"""Owns what the rows of a suite say: every number as a distance, by what was measured, and what the networks do beside it.

A measure is judged by its name; a stitcher by the name of its case and one of the numbers of its row. All tests look at ranks, so
the negative of a similarity serves as a distance.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Kind = Literal["label", "shortcut", "augmentation", "outputs", "layers", "ranks"]
GROUPED: dict[Kind, str] = {"label": "label_noise", "shortcut": "shortcut", "augmentation": "augment"}
"""Tests that compare groups of networks, and the field of their training that makes the groups."""
STITCHED = {"agreement": -1, "penalty": 1, "residual": 1}
"""Numbers of a stitch that are judged, and whether more is farther: answers shared with g, accuracy lost, residual."""
OUTPUTS = {"jensen_shannon": 1, "agreement": -1}
FUNCTION, LOGITS = "function", "logits"
"""The case of a stitch whose accuracy is that of a network with a layer cut down to a rank; the layer of what networks answer."""

Pair = tuple[str, str]
Truncated = tuple[str, str, int]
"""Network, layer, rank."""


class Number(NamedTuple):
    """How far a layer of the network `front`, cut down to `rank` where that is said, is from one of `end`."""

    front: str
    end: str
    front_layer: str
    end_layer: str
    distance: float
    rank: int | None = None


@dataclass
class Readings:
    """All that a suite has measured.

    Attributes:
        numbers: by test and name of what is judged.
        groups: by test, the group of each network.
        accuracy: of each network, on the images compared.
        outputs: how far the answers of two networks are apart, by name.
        kept: accuracy of a network with a layer cut down to a rank.
        order: layers in the order in which they are computed.
        lacking: numbers that are undefined, or not computed yet, by test and name.
    """

    numbers: dict[Kind, dict[str, list[Number]]] = field(default_factory=dict)
    groups: dict[Kind, dict[str, str]] = field(default_factory=dict)
    accuracy: dict[str, float] = field(default_factory=dict)
    outputs: dict[str, dict[Pair, float]] = field(default_factory=dict)
    kept: dict[Truncated, float] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    lacking: dict[tuple[Kind, str], int] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """What is judged, in order of first appearance."""
        return list(dict.fromkeys(name for numbers in self.numbers.values() for name in numbers))

    def of(self, kind: Kind, name: str) -> list[Number]:
        """Numbers between the networks that the test is about."""
        members = self.groups.get(kind, {})
        return [one for one in self.numbers.get(kind, {}).get(name, []) if one.front in members and one.end in members]


def add(
    to: Readings,
    kinds: Sequence[Kind],
    runs: Iterable[Mapping[str, Any]],
    rows: Mapping[str, Mapping[str, Any]],
    networks: Mapping[str, Mapping[str, Any]],
    order: Sequence[str],
) -> None:
    """What one sweep of the suite adds to the tests `kinds`.

    Args:
        runs: fields and labels (`case`) of each expected run, and its `run_id`; rows: what is stored of them, by run id.
        networks: the fields of the training of each network; order: its layers.
    """
    to.order += [layer for layer in order if layer not in to.order]
    for kind in kinds:
        to.groups.setdefault(kind, {}).update(grouped(kind, networks))
    for run in runs:
        for name, number, value in _said(run, rows.get(run["run_id"])):
            for kind in kinds:
                if value is None:
                    to.lacking[kind, name] = to.lacking.get((kind, name), 0) + 1
                else:
                    to.numbers.setdefault(kind, {}).setdefault(name, []).append(number._replace(distance=value))
        if (row := rows.get(run["run_id"])) is not None:
            _note(to, run, row)


def grouped(kind: Kind, networks: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The networks that a test is about, and the group of each: those that are as most are in all that makes other groups."""
    own = GROUPED.get(kind)
    usual = {name: Counter(str(one.get(name)) for one in networks.values()).most_common(1)[0][0] for name in GROUPED.values()}
    found = {}
    for run, one in networks.items():
        if all(str(one.get(name)) == value for name, value in usual.items() if name != own):
            found[run] = str(one.get(own)) if own else "all"
    return found


def _said(run: Mapping[str, Any], row: Mapping[str, Any] | None) -> Iterable[tuple[str, Number, float | None]]:
    """Name, place and distance of all that one run tells of what is judged; None: no number."""
    rank = run.get("front_rank") or run.get("front_stitch_rank")
    place = Number(run["front_network"], run["end_network"], run["front_layer"], run["end_layer"], 0.0, rank)
    if "measure" in run:
        if run["front_layer"] == LOGITS:
            return
        sign = 1 if row is None or row["scale"] == "distance" else -1
        yield run["measure"], place, None if row is None or row["value"] is None else sign * row["value"]
    elif run["case"] != FUNCTION:
        for column, sign in STITCHED.items():
            value = None if row is None else row[column]
            yield f"{run['case']}: {column}", place, None if value is None else sign * value


def _note(to: Readings, run: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    """What a row says of the networks themselves."""
    front, end = run["front_network"], run["end_network"]
    to.accuracy |= {front: row["front_accuracy"], end: row["end_accuracy"]}
    if run.get("measure") in OUTPUTS and row["value"] is not None:
        to.outputs.setdefault(run["measure"], {})[front, end] = OUTPUTS[run["measure"]] * row["value"]
    if "measure" not in run:
        to.outputs.setdefault("agreement", {})[front, end] = -row["front_agreement"]
    if run.get("case") == FUNCTION and row["accuracy"] is not None:
        to.kept[front, run["front_layer"], run["front_stitch_rank"]] = row["accuracy"]
