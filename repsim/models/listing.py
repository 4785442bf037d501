"""Owns what is said of every architecture: its size, what can be chosen, and what is published of it."""

from dataclasses import dataclass

from repsim.models.architecture import Choice
from repsim.models.calls import listen
from repsim.models.zoo import ARCHITECTURES, native, outline


@dataclass(frozen=True)
class ArchitectureFacts:
    """One architecture; numbers are those of the default width and depth, for three channels and `classes` and `size`.

    Attributes:
        parameters: trainable numbers.
        layers: places where it can be cut.
        width, widths, width_means: the default, the least and the greatest, and what a width counts; null: no choice.
        depth, depths, depth_means: the same of the depth.
        min_size, multiple: images have so many pixels or more, and a multiple of this.
        published, rounded, source: see `Architecture`.
    """

    name: str
    parameters: int
    layers: int
    width: int | None
    widths: tuple[int, int] | None
    width_means: str
    depth: int | None
    depths: tuple[int, int] | None
    depth_means: str
    min_size: int
    multiple: int
    classes: int
    size: int
    published: int | None
    rounded: int
    source: str


def every() -> list[ArchitectureFacts]:
    """All architectures, in the order of the list."""
    return [tell(name) for name in ARCHITECTURES]


def tell(name: str) -> ArchitectureFacts:
    """What is said of one architecture; no weight is made."""
    one, facts = ARCHITECTURES[name], native(name)
    network = outline(facts)
    return ArchitectureFacts(
        name,
        sum(parameter.numel() for parameter in network.parameters()),
        len(listen(network)),
        *_told(one.width),
        *_told(one.depth),
        one.min_size,
        one.multiple,
        one.classes,
        one.size,
        one.published,
        one.rounded,
        one.source,
    )


def _told(choice: Choice | None) -> tuple[int | None, tuple[int, int] | None, str]:
    if choice is None:
        return None, None, ""
    return choice.default, (choice.numbers.start, choice.numbers.stop - 1), choice.means
