"""Owns the axes of drawn figures: where a value stands, and which ticks are labelled."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import asinh, ceil, floor, log10

TICKS = 6
DWARFED = 12  # times the height in which two fifths of the values lie: beyond it an axis is logarithmic


@dataclass(frozen=True)
class Axis:
    """From values between `low` and `high` to pixels between `start` and `end`; with `linear` a logarithm beyond ±linear."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    linear: float | None = None

    def __call__(self, value: float) -> float:
        """The place of a value; of one beyond the axis, its end."""
        return self.beyond(min(max(value, self.low), self.high))

    def beyond(self, value: float) -> float:
        """The same without a limit."""
        low, high = self._bent(self.low), self._bent(self.high)
        share = (self._bent(value) - low) / ((high - low) or 1.0)
        return self.start + share * (self.end - self.start)

    def holds(self, value: float) -> bool:
        """Whether a value is on the axis."""
        return self.low <= value <= self.high

    def _bent(self, value: float) -> float:
        return value if self.linear is None else asinh(value / self.linear)


def of(values: Sequence[float], outer: Sequence[float], start: float, end: float, zero: bool = True) -> Axis:
    """An axis on which all of `values` fit, and as much of `outer` (the ends of intervals) as leaves these readable.

    Where a few values dwarf the others the axis is logarithmic beyond the height in which two fifths of them lie.
    """
    low, high = min(values, default=0.0), max(values, default=1.0)
    low, high = (min(low, 0.0), max(high, 0.0)) if zero else (low, high)
    room = (high - low) or abs(high) or 1.0
    low = max(min([low, *outer]), low - 0.35 * room)
    high = min(max([high, *outer]), high + 0.35 * room)
    pad = 0.04 * ((high - low) or 1.0)
    low, high = (low if low == 0 else low - pad), high + pad
    if linear := _linear(values):
        return Axis(low, high, start, end, _bent_ticks(linear, low, high), linear)
    return Axis(low, high, start, end, ticks(low, high))


def logarithmic(values: Sequence[float], start: float, end: float) -> Axis:
    """An axis of positive values, logarithmic in all of them."""
    low, high = min(values) / 1.25, max(values) * 1.25
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    wide = log10(high / low) > 2.5
    marks = tuple(
        step * 10.0**power for power in powers for step in ((1,) if wide else (1, 2, 5)) if low <= step * 10.0**power <= high
    )
    return Axis(low, high, start, end, marks or (low, high), linear=low / 100)


def ticks(low: float, high: float, most: int = TICKS) -> tuple[float, ...]:
    """Round numbers between `low` and `high`."""
    step = _round_up((high - low) / most)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return tuple(round(i * step, 12) for i in range(first, last + 1))


def words(value: float) -> str:
    """A tick as text."""
    return f"{value:,.10g}".replace("-", "−")


def _linear(values: Sequence[float]) -> float | None:
    sizes = sorted(map(abs, values))
    if len(sizes) < 5:
        return None
    linear = _round_up(2 * sizes[int(0.4 * (len(sizes) - 1))] or sizes[-1])
    return linear if sizes[-1] > DWARFED * linear else None


def _bent_ticks(linear: float, low: float, high: float) -> tuple[float, ...]:
    above = [linear / 2, linear]
    while above[-1] < max(abs(low), abs(high)):
        above.append(_round_up(above[-1] * 1.5))
    return tuple(value for value in [*(-one for one in reversed(above)), 0.0, *above] if low <= value <= high)


def _round_up(value: float) -> float:
    """The next of …, 0.5, 1, 2, 5, 10, …"""
    if value <= 0:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-12))
