"""Owns repsim's side of the comparison: minibatch and exact CKA of all pairs of layers, of networks or of stored features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from repsim.data.images import Images
from repsim.models import allocator
from repsim.models.network import Network
from repsim.similarity import engine, memory, planner
from repsim.similarity.feeds import feeds
from repsim.similarity.planned import Plan
from repsim.similarity.reading import Batch, Pair
from repsim.similarity.request import Request, Sample, Value
from repsim.similarity.similarity import Similarity
from repsim.similarity.tiles import TilePass

Values = Mapping[str, Tensor]


@dataclass(frozen=True)
class Found:
    """The matrix (front, end), how it was computed, and the seconds of each kind of pass where networks were run."""

    matrix: Tensor
    plan: Plan
    seconds: Mapping[str, float]


def requests(names: Sequence[str], batch: int | None) -> dict[tuple[str, str], Request]:
    """Minibatch CKA of all pairs, or with no batch the exact debiased one, of flattened activations."""
    measure, options = ("cka_debiased", ()) if batch is None else ("cka_minibatch", (("batch", batch),))
    return {(x, y): Request(measure, Value(x), Value(y), "flatten", None, options) for x in names for y in names}


def of_networks(front: Network, end: Network, names: Sequence[str], images: Images, batch: int | None) -> Found:
    """What `repsim compare` does, without reading and writing files."""
    asked = requests(names, batch)
    allocator.keep_freed_memory(str(front.mean.device))  # as the job does
    found = engine.compare(Pair(front, end), images, asked.values(), Sample(len(images)))
    return Found(_matrix(names, asked, found.found), found.plan, found.seconds)


def of_features(front: Values, end: Values, images: int, batch: int | None) -> Found:
    """The passes alone, of activations that are there."""
    names = list(front)
    asked, sample = requests(names, batch), Sample(images)
    shapes = [{name: tuple(value.shape[1:]) for name, value in side.items()} for side in (front, end)]
    device = str(next(iter(front.values())).device)
    allocator.keep_freed_memory(device)
    plan = planner.make(asked.values(), shapes[0], shapes[1], sample, memory.budget(device))
    return Found(_matrix(names, asked, _streamed(plan, sample, front, end) | _walked(plan, sample, front, end)), plan, {})


def _streamed(plan: Plan, sample: Sample, front: Values, end: Values) -> dict[Request, Similarity]:
    found = {}
    for stream in plan.streams:
        for feed in feeds(stream, sample, None):
            for i in range(-(-sample.images // plan.batch)):
                feed.add(Batch(_block(front, i, plan.batch), _block(end, i, plan.batch)), torch.empty(0))
            found |= feed.results()
    return found


def _walked(plan: Plan, sample: Sample, front: Values, end: Values) -> dict[Request, Similarity]:
    found = {}
    for walk in plan.walks:
        tiles = TilePass([piece.asked for piece in walk], sample, plan.block)
        tiles.run(lambda i: (_block(front, i, plan.block), _block(end, i, plan.block)))
        found |= tiles.results()
    return found


def _block(side: Values, index: int, block: int) -> dict[Value, Tensor]:
    return {Value(name): value[index * block : (index + 1) * block] for name, value in side.items()}


def _matrix(names: Sequence[str], asked: Mapping[Any, Request], found: Mapping[Request, Similarity]) -> Tensor:
    return torch.tensor([[float(found[asked[x, y]]) for y in names] for x in names])
