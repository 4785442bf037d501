"""Owns what a comparison of two representations gives: a number, whether it stands, and what chance would give."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

OK = "ok"
SAFETY = 16  # how many times the rounding of a value is still rounding
CLOSED_FORM, SHIFTED = "closed form", "shifted"
TWO = "n = 2: decided by construction, not by the layers"
NOT_FINITE = "activations that are not finite, or too large to be squared"


@dataclass(frozen=True)
class Similarity:
    """One number and what must be known to read it.

    Attributes:
        value: None where the measure is undefined; never NaN.
        status: "ok", or why the value is undefined or means nothing, in words ("constant layer", "rank of both ≥ n − 1").
        null: what the measure gives when every image meets another one; None where it is undefined.
        shifted: whether the null is of one shifted order, each image beside the one before it, and not the mean over all orders.
        low, high: 95 % interval of a bootstrap over images; None where none was asked for.
        details: further numbers by name (components kept, ranks, dead channels, bandwidth).
    """

    value: float | None
    status: str = OK
    null: float | None = None
    shifted: bool = False
    low: float | None = None
    high: float | None = None
    details: Mapping[str, float] = field(default_factory=dict)

    def __float__(self) -> float:
        if self.value is None:
            raise ValueError(f"undefined: {self.status}")
        return self.value

    @property
    def null_kind(self) -> str | None:
        """Where the null comes from: "closed form", the mean over all orders of the images; "shifted"; None without a null.

        The angle or the root of such a mean counts as closed form, as the docstring of the measure says.
        """
        return None if self.null is None else SHIFTED if self.shifted else CLOSED_FORM

    def with_null(self, null: float | None, shifted: bool = False) -> "Similarity":
        """The same with that null."""
        return replace(self, null=null, shifted=shifted)


def constant_status(front: bool, end: bool) -> str | None:
    """The status of a pair of which one or both layers are constant; None where both vary."""
    return f"constant layer ({'both' if front and end else 'front' if front else 'end'})" if front or end else None


def undefined(why: str, **details: float) -> Similarity:
    """No value, and why."""
    return Similarity(None, why, details=details)
