"""Owns running the pass over pairs of images on tensors that are all there, for the tests of what it gathers."""

from collections.abc import Hashable, Mapping

from torch import Tensor

from repsim.similarity.request import Request, Sample, Value
from repsim.similarity.similarity import Similarity
from repsim.similarity.tiles import TilePass


def asked(measure: str, front: str = "x", end: str = "y", **options: Hashable) -> Request:
    return Request(measure, Value(front), Value(end), "flatten", options=tuple(sorted(options.items())))


def gathered(
    requests: list[Request], fronts: Mapping[str, Tensor], ends: Mapping[str, Tensor], block: int, sample: Sample | None = None
) -> dict[Request, Similarity]:
    """The requests of layers by name, by blocks of so many images."""
    images = len(next(iter(fronts.values())))
    tiles = TilePass(requests, sample or Sample(images), block)
    sides = [{Value(name): layer.split(block) for name, layer in side.items()} for side in (fronts, ends)]
    tiles.run(lambda index: tuple({value: blocks[index] for value, blocks in side.items()} for side in sides))  # pyright: ignore[reportArgumentType]
    return tiles.results()
