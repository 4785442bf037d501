"""Owns one comparison of two networks from its images to its numbers: which passes run, and what each of them is fed.

Both networks see a batch once for all measures of moments, of rows and of outputs. Measures of pairs of images then walk
over blocks of the same stream. Memory is bounded by the plan, whatever the number of layers and images.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter

import torch
from torch import Tensor

from repsim.data.batches import ordered
from repsim.data.images import Images
from repsim.errors import InputError
from repsim.similarity import kept, memory, planner, positions, reading
from repsim.similarity.feeds import feeds, of_family
from repsim.similarity.kept import Kept
from repsim.similarity.known import KNOWN
from repsim.similarity.pieces import Piece
from repsim.similarity.planned import Plan
from repsim.similarity.projection import Components
from repsim.similarity.reading import Batch, Pair
from repsim.similarity.request import Request, Sample, Value
from repsim.similarity.similarity import NOT_FINITE, Similarity, undefined
from repsim.similarity.tiles import TilePass
from repsim.similarity.witness import Witness

Tick = Callable[[float, str], None]


@dataclass(frozen=True)
class Comparison:
    """What came of one comparison.

    Attributes:
        found: one for each request.
        plan: how they were computed.
        sample: hash of images and labels in their order.
        front_accuracy, end_accuracy: share of the answers that are right.
        seconds: of each kind of pass, by name.
        peak: bytes of a GPU held at most, the networks' among them; None elsewhere.
    """

    found: Mapping[Request, Similarity]
    plan: Plan
    sample: str
    front_accuracy: float
    end_accuracy: float
    seconds: Mapping[str, float]
    peak: int | None


def compare(
    pair: Pair,
    images: Images,
    requests: Iterable[Request],
    sample: Sample,
    budget: int | None = None,
    tick: Tick = lambda fraction, text: None,
    products: torch.dtype | None = None,
) -> Comparison:
    """All `requests` of f and g on the same images, in eval mode, without TF32, autocast or gradients.

    Args:
        pair: f and g, on the device where the images come.
        images: in the order of the comparison (`sample.stream`), as many as `sample` says.
        budget: bytes that may be taken (None: a share of what is free).
        products: precision of the products of moments (None: that of the activations, single at least); sums are in double.

    Raises InputError for layers that a network has not, for what does not fit into memory, and as `fit` does.
    """
    if len(images) != sample.images:
        raise InputError(f"{len(images)} images came, and the sample is of {sample.images}", where="images")
    device, asked = pair.front.mean.device, list(dict.fromkeys(requests))
    with reading.exactly(), reading.evaluating(pair.front, pair.end):
        shapes = pair.shapes((one.front.layer for one in asked), (one.end.layer for one in asked))
        plan = planner.make(asked, *shapes, sample, memory.budget(str(device)) if budget is None else budget, device.type)
        return _Comparing(pair, images, sample, plan, tick, products).all(device)


class _Comparing:
    """One comparison under way."""

    def __init__(self, pair: Pair, images: Images, sample: Sample, plan: Plan, tick: Tick, products: torch.dtype | None):
        self._pair, self._images, self._sample, self._plan = pair, images, sample, plan
        self._tick, self._products = tick, products
        self._stages = any(plan.ranked) + len(plan.streams) + len(plan.walks)
        self._done = 0
        self._seconds: dict[str, float] = {}
        self._found: dict[Request, Similarity] = {}
        self._walked = walked = reading.sources(piece for walk in plan.walks for piece in walk)
        self._witness = Witness(*walked)
        self._kept = Kept(walked, sample.images) if plan.kept else None

    def all(self, device: torch.device) -> Comparison:
        """Every pass, one after the other."""
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        if any(self._plan.ranked):
            self._stage("components", self._find_components)
        for number, stream in enumerate(self._plan.streams):
            self._stage("stream", partial(self._stream, stream, number == 0))
        for walk in self._plan.walks:
            self._stage("pairs of images", partial(self._walk, walk))
        accuracies = self._witness.accuracies()
        peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
        return Comparison(self._put_together(), self._plan, self._witness.sample(), *accuracies, self._seconds, peak)

    def _find_components(self) -> None:
        wanted = [[Value(layer) for layer in dict.fromkeys(v.layer for v in side)] for side in self._plan.ranked]
        front, end = (Components(side) for side in self._plan.ranked)
        for _, batch in self._batches(*wanted, text="principal components"):
            front.add(batch.front)
            end.add(batch.end)
        self._pair.projections = front.projections(), end.projections()

    def _stream(self, some: Sequence[Piece], first: bool) -> None:
        """One pass over the images; the first one also keeps what walks will want, and looks around."""
        fed = feeds(some, self._sample, self._products)
        values = reading.sources(some)
        wanted = [[*own, *walked] for own, walked in zip(values, self._walked, strict=True)] if first else values
        for (x, labels), batch in self._batches(*wanted, logits=first or bool(of_family(some, "outputs")), text="layers"):
            if first:
                self._look(x, labels, batch)
            for feed in fed:
                feed.add(batch, labels)
        for feed in fed:
            self._found |= feed.results()

    def _look(self, x: Tensor, labels: Tensor, batch: Batch) -> None:
        self._witness.add(x, labels, batch)
        if self._kept:
            self._kept.add(batch)

    def _walk(self, some: Sequence[Piece]) -> None:
        finite = [piece for piece in some if self._finite(piece)]
        self._found |= {piece.asked: undefined(NOT_FINITE) for piece in some if not self._finite(piece)}
        if not finite:
            return
        wanted = reading.sources(finite)
        read = self._kept.read if self._kept else kept.made_again(self._pair, wanted, self._images, self._plan.batch)
        cuts = [[piece.cut[side] for piece in finite if piece.cut] for side in (0, 1)]
        block, asked = self._plan.block, list(dict.fromkeys(piece.asked for piece in finite))
        tiles = TilePass(asked, self._sample, block)
        tiles.run(kept.blocks(read, (cuts[0], cuts[1]), self._sample.images, block), self._report)
        self._found |= tiles.results()

    def _finite(self, piece: Piece) -> bool:
        return self._witness.finite("front", piece.origin.front) and self._witness.finite("end", piece.origin.end)

    def _put_together(self) -> dict[Request, Similarity]:
        """The pieces of each request as one number."""
        apart: dict[Request, list[Similarity]] = {}
        for piece in (piece for part in (*self._plan.streams, *self._plan.walks) for piece in part):
            apart.setdefault(piece.origin, []).append(self._found[piece.asked])
        return {
            asked: positions.mean(found) if asked.view == "position" else _within(asked, found[0]) for asked, found in apart.items()
        }

    def _batches(
        self, front: Iterable[Value], end: Iterable[Value], text: str, logits: bool = False
    ) -> Iterator[tuple[tuple[Tensor, Tensor], Batch]]:
        """All images in order, with what both networks make of them."""
        read, total = self._pair.reader(front, end, logits), len(self._images)
        done = 0
        for x, labels in ordered(self._images, self._plan.batch):
            yield (x, labels), read(x)
            done += len(x)
            self._report(done / total, text)

    def _stage(self, name: str, work: Callable[[], None]) -> None:
        started = perf_counter()
        work()
        self._done += 1
        self._seconds[name] = self._seconds.get(name, 0.0) + perf_counter() - started

    def _report(self, fraction: float, text: str) -> None:
        self._tick((self._done + fraction) / self._stages, text)


def _within(asked: Request, found: Similarity) -> Similarity:
    """Without the part of its interval where the measure cannot be: an interval is moved, see `bootstrap.interval`."""
    if found.value is None or found.low is None or found.high is None:
        return found
    least, most = min(KNOWN[asked.measure].low, found.value), max(KNOWN[asked.measure].high, found.value)
    return replace(found, low=max(least, found.low), high=min(most, found.high))
