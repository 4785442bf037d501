"""Owns what a report says of its sweep before any number: the question, the file, and what it expands to."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repsim.sweep.expand import TRAIN, Sweep
from repsim.sweep.networks import made as how_made
from repsim.sweep.run import labels, values

if TYPE_CHECKING:
    import pandas as pd

Facts = dict[str, Any]
LAYERS = ("front_layer", "end_layer", "layer")


def question(text: str) -> str:
    """The comment that a sweep file begins with, as lines of text; nothing where it begins otherwise."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("#").strip())
    return "\n".join(lines).strip()


def spec_text(path: Path) -> str:
    """The sweep file as it is."""
    return path.read_text(encoding="utf-8", errors="replace")


def size(sweep: Sweep, layers: list[str]) -> Facts:
    """How many runs, networks, pairs of networks, layers and cases; layers in the order of `layers`, others after them."""
    fields = sweep.jobs[sweep.spec.job].config.model_fields
    found = dict.fromkeys(str(layer) for name in LAYERS if name in fields for layer in values(sweep.runs, name))
    place = {name: index for index, name in enumerate(layers)}
    return {
        "job": sweep.spec.job,
        "runs": len(sweep.runs),
        "merged": sweep.merged,
        "networks": len({run for one in sweep.runs for run in one.inputs}) or len(sweep.networks),
        "pairs": _pairs(sweep),
        "layers": sorted(found, key=lambda name: place.get(name, len(place))),
        "cases": [str(case) for case in dict.fromkeys(labels(sweep.runs, "case")) if case is not None],
        "datasets": list(dict.fromkeys(str(name) for name in values(sweep.runs, "dataset") if name is not None)),
    }


def networks(sweep: Sweep, rows: "dict[str, pd.DataFrame]") -> list[Facts]:
    """Each network of the sweep: what it is, how it was made, and its own test accuracy where it is stored."""
    scores = {str(row["run_id"]): row for frame in rows.values() for row in frame.to_dict("records")}
    made = sweep.networks or (sweep.runs if sweep.spec.job == TRAIN else ())
    return [_network(run.id, run.job, run.config.model_dump(), scores.get(run.id, {})) for run in made]


def kinds(found: list[Facts]) -> list[Facts]:
    """Networks that differ in their seed alone, as one: how many, and between which accuracies."""
    keys = ("arch", "width", "depth", "dataset", "made")
    of = Counter(tuple(one[key] for key in keys) for one in found)
    return [
        dict(zip(keys, kind, strict=True)) | {"networks": count} | _span([one for one in found if _is(one, keys, kind)])
        for kind, count in of.items()
    ]


def _is(one: Facts, keys: tuple[str, ...], kind: tuple[Any, ...]) -> bool:
    return tuple(one[key] for key in keys) == kind


def _span(those: list[Facts]) -> Facts:
    scores = [one["accuracy"] for one in those if one["accuracy"] is not None]
    return {
        "seeds": sorted({one["seed"] for one in those if one["seed"] is not None}),
        "accuracy_low": min(scores, default=None),
        "accuracy_high": max(scores, default=None),
        "epochs": sorted({one["epochs"] for one in those if one["epochs"] is not None}),
    }


def _network(run: str, job: str, config: Facts, row: Facts) -> Facts:
    keys = ("arch", "width", "depth", "dataset", "seed", "epochs", "recipe", "adversary")
    accuracy = row.get("accuracy")
    said = {key: config.get(key) for key in keys}
    return {"run_id": run, "job": job, **said, "made": how_made(config), "accuracy": accuracy if accuracy == accuracy else None}


def _pairs(sweep: Sweep) -> int:
    """Pairs of networks; 0 for a sweep of single ones."""
    fields = sweep.jobs[sweep.spec.job].config.model_fields
    if "front_network" not in fields:
        return 0
    return len(set(zip(values(sweep.runs, "front_network"), values(sweep.runs, "end_network"), strict=True)))
