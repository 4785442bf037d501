"""Owns what a person may say of a network's normalisation, and the mean and std that it means. Light (no torch)."""

from math import isfinite

from repsim.data import sources
from repsim.data.facts import Source
from repsim.errors import InputError

NONE = "none"
WORDS = "none, the name of a data set, or MEAN/STD as in 0.5,0.5,0.5/0.25,0.25,0.25 (one number stands for all channels)"
CLOSE = 1e-3
"""Published means and deviations are rounded to three or four digits."""

Numbers = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and std per channel, of pixels in [0, 1]."""


def numbers(said: str | None, source: Source) -> Numbers:
    """(mean, std) for images of `source`; None means its own. Raises InputError for what cannot be meant."""
    if said is None:
        return source.mean, source.std
    if said == NONE:
        return (0.0,) * source.channels, (1.0,) * source.channels
    mean, std = _written(said, source.channels) if "/" in said else _of_data_set(said)
    if not len(mean) == len(std) == source.channels:
        raise _refusal(f"'{said}' is for {len(mean)} channels; '{source.name}' has {source.channels}")
    if not all(map(isfinite, (*mean, *std))) or min(std) <= 0:
        raise _refusal(f"'{said}': means must be finite, and deviations positive")
    return mean, std


def canonical(said: str | None, source: Source) -> str | None:
    """One text for one normalisation: None for the data set's own, `none` for the identity, else the numbers."""
    found = numbers(said, source)
    if found == (source.mean, source.std):
        return None
    return NONE if found == numbers(NONE, source) else text(found)


def text(found: Numbers) -> str:
    """MEAN/STD, as `numbers` reads it."""
    return "/".join(",".join(f"{number:.10g}" for number in part) for part in found)


def agree(one: Numbers, other: Numbers) -> bool:
    """Whether both are the same but for rounding."""
    return all(
        len(a) == len(b) and all(abs(x - y) <= CLOSE for x, y in zip(a, b, strict=True)) for a, b in zip(one, other, strict=True)
    )


def _written(said: str, channels: int) -> Numbers:
    try:
        mean, std = (tuple(float(word) for word in part.split(",")) for part in said.split("/"))
    except ValueError:
        raise _refusal(f"'{said}' is not MEAN/STD") from None
    return mean * (channels if len(mean) == 1 else 1), std * (channels if len(std) == 1 else 1)


def _of_data_set(said: str) -> Numbers:
    try:
        source = sources.get(said)
    except InputError as error:
        raise _refusal(error.what) from None
    return source.mean, source.std


def _refusal(what: str) -> InputError:
    return InputError(what, where="normalise", do=f"say {WORDS}")
