"""Owns small ways of saying values in a methods text: numbers, ranges, lists, and what all runs have in common."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

NAMES = {
    **{"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "svhn": "SVHN", "mnist": "MNIST", "fashion": "Fashion-MNIST"},
    **{"imagenet": "ImageNet", "celeba": "CelebA", "cifar5m": "CIFAR-5m", "digits": "the digits of scikit-learn"},
}
ONE = {"stitch": "stitch", "compare": "comparison", "probe": "probe", "rotate": "rotation", "train": "training"}


def listed(words: Iterable[Any], last: str = "and") -> str:
    """a, b and c."""
    said = [str(word) for word in words]
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} {last} {said[-1]}" if said else "none"


def shortly(words: Sequence[Any], most: int = 12) -> str:
    """The same of many: the first few, and how many more."""
    if len(words) <= most:
        return listed(words)
    return f"{', '.join(map(str, words[: most - 2]))} and {len(words) - most + 2} more"


def span(numbers: Iterable[float], format: str = "{:g}") -> str:
    """0.767 to 0.783, or the one number."""
    found = sorted(numbers)
    ends = [format.format(one) for one in (found[0], found[-1])]
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def half_up(number: float, digits: int = 3) -> str:
    """0.783 for 0.7825: a half of the last digit goes up, as the shortest decimal number of these bits says."""
    return str(Decimal(repr(float(number))).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


def whole(numbers: Sequence[int]) -> str:
    """4–9 for successive whole numbers, else a list."""
    found = sorted(numbers)
    if len(found) > 2 and found == list(range(found[0], found[-1] + 1)):
        return f"{found[0]}–{found[-1]}"
    return shortly(found)


def distinct(configs: Iterable[Mapping[str, Any]], name: str) -> list[Any]:
    """The values of a field, each once, in order of appearance; none where there is no such field."""
    return list(dict.fromkeys(one[name] for one in configs if name in one))
