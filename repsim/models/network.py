"""Owns the network as repsim sees it: what identifies it, its own normalisation, and its body."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn


class NetworkFacts(Protocol):
    """Whatever has these six attributes can be built; the orchestration has its own class for it."""

    @property
    def arch(self) -> str: ...
    @property
    def width(self) -> int | None: ...
    @property
    def classes(self) -> int: ...
    @property
    def channels(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def depth(self) -> int | None: ...


@dataclass(frozen=True)
class Facts:
    """The architecture of one network without its weights.

    Attributes:
        arch: a name of `zoo.ARCHITECTURES`.
        width: what the architecture says that a width counts: channels, a multiplier, heads; None is its default.
        classes: number of logits.
        channels: colour channels of the input.
        size: height and width of the input, in pixels.
        depth: how many layers or blocks, for architectures of any depth; None is the architecture's default.
    """

    arch: str
    width: int | None
    classes: int
    channels: int
    size: int
    depth: int | None = None

    @classmethod
    def of(cls, facts: NetworkFacts) -> "Facts":
        return cls(facts.arch, facts.width, facts.classes, facts.channels, facts.size, facts.depth)

    def __str__(self) -> str:
        said = [f"{name} {n}" for name, n in (("width", self.width), ("depth", self.depth)) if n is not None]
        named = f"{self.arch} of {' and '.join(said)}" if said else self.arch
        return f"{named} ({self.classes} classes, {self.channels}×{self.size}×{self.size} input)"


class Network(nn.Module):
    """logits = body((x − mean) / std), for x in [0, 1].

    The normalisation belongs to the network, so that a network keeps its own wherever it is evaluated, and
    so that attacks and clamping happen in pixel space.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, facts: Facts, body: nn.Module, mean: Sequence[float] | Tensor, std: Sequence[float] | Tensor):
        super().__init__()
        self.facts = facts
        self.body = body
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32).reshape(1, -1, 1, 1).clone())
        self.register_buffer("std", torch.as_tensor(std, dtype=torch.float32).reshape(1, -1, 1, 1).clone())

    def normalise(self, x: Tensor) -> Tensor:
        """(x − mean) / std per channel; x (n, c, h, w) in [0, 1]."""
        return (x - self.mean) / self.std

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes) of images x (n, c, h, w) in [0, 1]."""
        return self.body(self.normalise(x))
