"""Owns the numbers of a row that an attack leaves, by the name of their column."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from repsim.stitching.asked import Asked
from repsim.stitching.attacked import END, FRONT, STITCHED, Attacked, Who
from repsim.stitching.shifts import MAP

OTHERS: tuple[tuple[Who, Who], ...] = (
    (STITCHED, FRONT),
    (STITCHED, END),
    (FRONT, END),
    (FRONT, STITCHED),
    (END, FRONT),
    (END, STITCHED),
)
"""(scored, attacked)."""
BEFORE: Mapping[Who, str] = {STITCHED: "", FRONT: "front_", END: "end_"}
"""What the columns of a network begin with."""


def columns(found: Attacked, asked: Asked) -> dict[str, Any]:
    """The numbers of one stitched network and of the two it is made of; see `row_fields.Robust` and `Shift`."""
    front, end, own = (found.robust(who) for who in (FRONT, END, STITCHED))
    said = {"robust_accuracy": own, "front_robust_accuracy": front, "end_robust_accuracy": end}
    said |= {"attacked_images": found.images, "robust_penalty": (front + end) / 2 - own}
    return said | (_by_step(found) | _tried(found) | _turned(found, asked) if found.right else {})


def _by_step(found: Attacked) -> dict[str, list[float]]:
    steps = range(found.steps + 1)
    return {f"{before}robust_curve": [found.robust(who, step) for step in steps] for who, before in BEFORE.items()}


def _tried(found: Attacked) -> dict[str, float]:
    return {f"{scored}_on_{attacked}": found.transferred(scored, attacked) for scored, attacked in OTHERS}


def _turned(found: Attacked, asked: Asked) -> dict[str, Any]:
    """Of all layers, and of those at the cut."""
    said: dict[str, Any] = {}
    for who, cut in ((FRONT, asked.front_layer), (END, asked.end_layer), (STITCHED, MAP)):
        cosines = found.cosines[who]
        said[f"{who}_cosine"] = cosines[cut] if isfinite(cosines[cut]) else None
        said[f"{who}_cosines"] = list(cosines.values())
        said[f"{who}_cosine_layers"] = " ".join(cosines)
    return said
