"""Owns the list of architectures, and how one of them becomes a network."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from inspect import signature

import torch
from torch import Tensor, nn

from repsim.errors import InputError, nearest
from repsim.models.initial import Draw, default, he, he_outgoing, initialise, transformer
from repsim.models.mcnn import mcnn
from repsim.models.network import Facts, Network, NetworkFacts
from repsim.models.resnet20 import resnet20, resnet20_b
from repsim.models.tiny10 import tiny10
from repsim.models.vit import PATCH, vit_tiny


@dataclass(frozen=True)
class Architecture:
    """How to make a body, how its weights begin, and what it can be asked for.

    `widths` is None where there is no width to choose; `width_means` says what the number counts. Image sizes are
    multiples of `multiple`, from `min_size` on.
    """

    make: Callable[..., nn.Module]
    draw: Draw
    min_size: int
    widths: range | None = None
    width_means: str = ""
    multiple: int = 1


def build(
    facts: NetworkFacts,
    mean: Sequence[float] | Tensor | None = None,
    std: Sequence[float] | Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Network:
    """A new network on the CPU, in train mode, with weights drawn from `generator` (CPU; None: seed 0).

    Args:
        facts: architecture, width, classes, channels and size.
        mean, std: per channel, of inputs in [0, 1]; None: no normalisation.
        generator: the only source of randomness; the global one is neither read nor moved.

    Raises:
        InputError: unknown architecture, a width, size or number that it cannot have, or unfit mean or std.
    """
    facts = Facts.of(facts)
    body = skeleton(facts).to_empty(device="cpu")
    initialise(body, ARCHITECTURES[facts.arch].draw, generator or torch.Generator().manual_seed(0))
    mean, std = _per_channel("mean", mean, 0.0, facts), _per_channel("std", std, 1.0, facts)
    if min(std) <= 0:
        raise InputError(f"std must be positive, not {std}", where=str(facts), do="give the standard deviation of each channel")
    return Network(facts, body, mean, std)


def skeleton(facts: NetworkFacts) -> nn.Module:
    """The body without weights (on the meta device): names and shapes at no cost, and no random number drawn."""
    facts = Facts.of(facts)
    architecture = _checked(facts)
    asked_for = signature(architecture.make).parameters
    given = {name: value for name, value in asdict(facts).items() if name in asked_for and value is not None}
    with torch.device("meta"):
        return architecture.make(**given)


def _checked(facts: Facts) -> Architecture:
    """The architecture of `facts`, which it can have."""
    if not isinstance(facts.arch, str):
        raise InputError(f"arch must be a name, not {facts.arch!r}", do=nearest("", ARCHITECTURES))
    if facts.arch not in ARCHITECTURES:
        raise InputError(f"there is no architecture '{facts.arch}'", do=nearest(facts.arch, ARCHITECTURES))
    architecture = ARCHITECTURES[facts.arch]
    for field, value in asdict(facts).items():
        if field not in ("arch", "width", "depth") and (type(value) is not int or value < 1):
            raise InputError(f"{field} must be a positive whole number, not {value!r}", where=facts.arch)
    if facts.size < architecture.min_size:
        others = [name for name, other in ARCHITECTURES.items() if other.min_size <= facts.size]
        do = f"it takes {architecture.min_size} pixels or more" + (
            f"; these take {facts.size}: {', '.join(others)}" if others else ""
        )
        raise InputError(f"images of {facts.size} pixels are too small for it", where=facts.arch, do=do)
    if facts.size % architecture.multiple:
        do = f"it takes multiples of {architecture.multiple} pixels"
        raise InputError(f"images of {facts.size} pixels do not fit it", where=facts.arch, do=do)
    if facts.width is not None:
        _check_width(facts, architecture)
    return architecture


def _check_width(facts: Facts, architecture: Architecture) -> None:
    if architecture.widths is None:
        raise InputError("has one width only", where=facts.arch, do="leave width out")
    if type(facts.width) is not int or facts.width not in architecture.widths:
        do = f"width is {architecture.width_means}: {architecture.widths.start} to {architecture.widths.stop - 1}"
        raise InputError(f"cannot have width {facts.width!r}", where=facts.arch, do=do)


def _per_channel(name: str, given: Sequence[float] | Tensor | None, absent: float, facts: Facts) -> list[float]:
    """One finite number per channel."""
    values = [absent] * facts.channels if given is None else torch.as_tensor(given, dtype=torch.float64).flatten().tolist()
    if len(values) != facts.channels or not all(map(math.isfinite, values)):
        raise InputError(f"{name} must be {facts.channels} finite numbers, one per channel, not {values}", where=str(facts))
    return values


ARCHITECTURES: dict[str, Architecture] = {
    "tiny10": Architecture(tiny10, default, min_size=27),
    "resnet20": Architecture(resnet20, he, 8, range(1, 17), "a multiplier of 16, 32 and 64 channels"),
    "resnet20_b": Architecture(resnet20_b, he_outgoing, 8, range(1, 17), "a multiplier of 16, 32 and 64 channels"),
    "mcnn": Architecture(mcnn, default, 8, range(1, 513), "the channels of the first block"),
    "vit_tiny": Architecture(vit_tiny, transformer, 8, range(1, 17), "heads of 64 channels", multiple=PATCH),
}
