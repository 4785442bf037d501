"""Owns what is known of an architecture: how its body is made, how its weights begin, what it can be asked for."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from repsim.models.initial import Draw


@dataclass(frozen=True)
class Choice:
    """A whole number that may be chosen: the one taken when none is, those that can be, and what it counts."""

    default: int
    numbers: range
    means: str


@dataclass(frozen=True)
class Architecture:
    """One architecture, and where it comes from.

    Attributes:
        make: (classes, channels, size, width, depth, as far as it takes them) → the body.
        draw: how its weights begin.
        min_size: of images, in pixels.
        source: the paper or library it is taken from and, where one is published, the parameter count that it has there.
        published: the published number of parameters, for three channels and the defaults of all that follows.
        rounded: `published` is given to so many parameters; 1 where it is exact.
        width, depth: what can be chosen; None where there is no choice.
        multiple: image sizes are multiples of this.
        classes, size: of the data that it was designed for.
    """

    make: Callable[..., nn.Module]
    draw: Draw
    min_size: int
    source: str
    published: int | None = None
    rounded: int = 1
    width: Choice | None = None
    depth: Choice | None = None
    multiple: int = 1
    classes: int = 10
    size: int = 32
