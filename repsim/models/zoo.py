"""Owns the list of architectures, and how one of them becomes a network."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from inspect import signature

import torch
from torch import Tensor, nn

from repsim.errors import InputError, nearest
from repsim.models.allcnn import ALLCNNS
from repsim.models.architecture import Architecture, Choice
from repsim.models.cct import CCTS
from repsim.models.inception import INCEPTIONS
from repsim.models.initial import initialise
from repsim.models.lenet import LENETS
from repsim.models.mcnn import MCNNS
from repsim.models.network import Facts, Network, NetworkFacts
from repsim.models.preact import PREACTS
from repsim.models.resnet import RESNETS
from repsim.models.robust_vit import ROBUST_VITS
from repsim.models.tiny10 import TINY10S
from repsim.models.vgg import VGGS
from repsim.models.vit import VITS


def build(
    facts: NetworkFacts,
    mean: Sequence[float] | Tensor | None = None,
    std: Sequence[float] | Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Network:
    """A new network on the CPU, in train mode, with weights drawn from `generator` (CPU; None: seed 0).

    Args:
        facts: architecture, width, classes, channels, size and depth.
        mean, std: per channel, of inputs in [0, 1]; None: no normalisation.
        generator: the only source of randomness; the global one is neither read nor moved.

    Raises:
        InputError: unknown architecture, a width, depth, size or number that it cannot have, or unfit mean or std.
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
    asked_for = asdict(facts) | {field: _chosen(facts, field) for field in ("width", "depth")}
    with torch.device("meta"):
        return architecture.make(**{name: asked_for[name] for name in signature(architecture.make).parameters if name in asked_for})


def outline(facts: NetworkFacts) -> Network:
    """The network on the meta device: it can be run and cut, and costs neither memory nor time."""
    facts = Facts.of(facts)
    return Network(facts, skeleton(facts), [0.0] * facts.channels, [1.0] * facts.channels).to("meta")


def native(arch: str) -> Facts:
    """The network of this architecture that its published parameter count is of, for three channels."""
    architecture = ARCHITECTURES[arch]
    return Facts(arch, None, architecture.classes, 3, architecture.size)


def _chosen(facts: Facts, field: str) -> int | None:
    """The width or depth that is asked for, else the default."""
    choice: Choice | None = getattr(ARCHITECTURES[facts.arch], field)
    asked = getattr(facts, field)
    return choice.default if choice and asked is None else asked


def _checked(facts: Facts) -> Architecture:
    """The architecture of `facts`, which it can have."""
    if not isinstance(facts.arch, str):
        raise InputError(f"arch must be a name, not {facts.arch!r}", do=nearest("", ARCHITECTURES))
    if facts.arch not in ARCHITECTURES:
        raise InputError(f"there is no architecture '{facts.arch}'", do=nearest(facts.arch, ARCHITECTURES))
    architecture = ARCHITECTURES[facts.arch]
    for field in ("classes", "channels", "size"):
        value = getattr(facts, field)
        if type(value) is not int or value < 1:
            raise InputError(f"{field} must be a positive whole number, not {value!r}", where=facts.arch)
    _check_size(facts, architecture)
    for field in ("width", "depth"):
        _check_choice(facts, field, getattr(architecture, field))
    return architecture


def _check_size(facts: Facts, architecture: Architecture) -> None:
    if facts.size < architecture.min_size:
        others = [name for name, other in ARCHITECTURES.items() if facts.size >= other.min_size and not facts.size % other.multiple]
        some = f"; these take {facts.size}: {', '.join(others[:8])}{' …' if len(others) > 8 else ''}" if others else ""
        do = f"it takes {architecture.min_size} pixels or more{some}"
        raise InputError(f"images of {facts.size} pixels are too small for it", where=facts.arch, do=do)
    if facts.size % architecture.multiple:
        do = f"it takes multiples of {architecture.multiple} pixels"
        raise InputError(f"images of {facts.size} pixels do not fit it", where=facts.arch, do=do)


def _check_choice(facts: Facts, field: str, choice: Choice | None) -> None:
    """The width or depth asked for, if any, must be one that can be chosen."""
    asked = getattr(facts, field)
    if asked is None:
        return
    if choice is None:
        raise InputError(f"has one {field} only", where=facts.arch, do=f"leave {field} out")
    if type(asked) is not int or asked not in choice.numbers:
        do = f"{field} is {choice.means}: {choice.numbers.start} to {choice.numbers.stop - 1}"
        raise InputError(f"cannot have {field} {asked!r}", where=facts.arch, do=do)


def _per_channel(name: str, given: Sequence[float] | Tensor | None, absent: float, facts: Facts) -> list[float]:
    """One finite number per channel."""
    values = [absent] * facts.channels if given is None else torch.as_tensor(given, dtype=torch.float64).flatten().tolist()
    if len(values) != facts.channels or not all(map(math.isfinite, values)):
        raise InputError(f"{name} must be {facts.channels} finite numbers, one per channel, not {values}", where=str(facts))
    return values


FAMILIES: tuple[dict[str, Architecture], ...] = (
    LENETS,
    TINY10S,
    MCNNS,
    ALLCNNS,
    RESNETS,
    PREACTS,
    VGGS,
    INCEPTIONS,
    VITS,
    ROBUST_VITS,
    CCTS,
)
ARCHITECTURES: dict[str, Architecture] = {name: one for family in FAMILIES for name, one in family.items()}
