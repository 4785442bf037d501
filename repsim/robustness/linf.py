"""Owns the numbers of an attack in an L∞ ball. Light (no torch)."""

import re
from dataclasses import dataclass
from typing import Any, Literal

Start = Literal["uniform", "gaussian", "image"]
Kind = Literal["madry", "trades"]
FRACTION = re.compile(r"(\d+(?:\.\d+)?) ?/ ?(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Linf:
    """Projected gradient ascent within ‖x' − x‖∞ ≤ epsilon; lengths are in units of pixels in [0, 1].

    Attributes:
        epsilon: radius of the ball.
        step: length of one step, along the sign of the gradient.
        steps: steps taken.
        restarts: how often it is tried from a new start.
        start: `uniform` in the ball (Madry et al. 2018); `gaussian`, x + 0.001 · N(0, 1), as TRADES starts; `image`, x
            itself: with steps = 1 and step = epsilon this is FGSM (Goodfellow et al. 2015).
    """

    epsilon: float = 8 / 255
    step: float = 2 / 255
    steps: int = 10
    restarts: int = 1
    start: Start = "uniform"


@dataclass(frozen=True)
class Adversary:
    """How attacked images are trained on: Madry's loss, of a share `ratio` of each batch, or that of TRADES, of weight `beta`."""

    kind: Kind
    attack: Linf
    ratio: float = 1.0
    beta: float = 1.0
    seed: int = 0  # of the starts of the attacks


def pixels(said: Any) -> Any:
    """A length as people write it: "8/255" is divided out, anything else is left as it is."""
    found = FRACTION.fullmatch(said) if isinstance(said, str) else None
    return float(found[1]) / float(found[2]) if found and float(found[2]) else said
