"""Owns what a comparison of two representations gives: a number, whether it stands, and what chance would give."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

OK = "ok"
NOT_FINITE = "activations that are not finite, or too large to be squared"


@dataclass(frozen=True)
class Similarity:
    """One number and what must be known to read it.

    Attributes:
        value: None where the measure is undefined; never NaN.
        status: "ok", or why the value is undefined or means nothing, in words ("constant layer", "rank of both ≥ n − 1").
        null: what the measure gives when every image meets another one: on average where that has a formula, else once, each
            image beside the one before it of a random order (see `measure.MomentMeasure`); None where it is undefined.
        low, high: 95 % interval of a bootstrap over images; None where none was asked for.
        details: further numbers by name (components kept, ranks, dead channels, bandwidth).
    """

    value: float | None
    status: str = OK
    null: float | None = None
    low: float | None = None
    high: float | None = None
    details: Mapping[str, float] = field(default_factory=dict)

    def __float__(self) -> float:
        if self.value is None:
            raise ValueError(f"undefined: {self.status}")
        return self.value

    def with_null(self, null: float | None) -> "Similarity":
        return replace(self, null=null)


def constant_status(front: bool, end: bool) -> str | None:
    """The status of a pair of which one or both layers are constant; None where both vary."""
    return f"constant layer ({'both' if front and end else 'front' if front else 'end'})" if front or end else None


def undefined(why: str, **details: float) -> Similarity:
    """No value, and why."""
    return Similarity(None, why, details=details)
