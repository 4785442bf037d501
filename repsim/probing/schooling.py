"""Owns how a classifier of activations is trained: on native ones by their labels, then with outliers beside them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from repsim.data.batches import batches
from repsim.data.images import Images
from repsim.probing import energy
from repsim.probing.energy import Margins
from repsim.stitching.activations import Fresh, Kept

Over = Callable[[str, Callable[[], Iterable[Any]]], Callable[[], Iterator[Any]]]
"""Reports batches as they go, and cuts them short in a dry run; see `feeding.Progress.over`."""


@dataclass(frozen=True)
class Lessons:
    """How long and how fast; Adam throughout. The fine-tuning has a tenth of the rate from its second half on."""

    epochs: int
    finetune_epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    margins: Margins
    seed: int


@dataclass(frozen=True)
class Samples:
    """The activations of images at one layer, with what passes the cut by."""

    images: Images
    source: Fresh | Kept
    layer: str

    def epoch(self, batch_size: int, generator: Generator) -> Iterator[tuple[Tensor, tuple[Tensor, ...], Tensor]]:
        """(value, carried, labels) of each batch of a random order; one that is alone has no statistics and is left out."""
        for x, labels, index in batches(self.images, batch_size, generator):
            if len(labels) > 1:
                reading = self.source.read(x, index)
                yield reading.end[self.layer].float(), reading.carried.get(self.layer, ()), labels


def teach(classifier: nn.Module, native: Samples, lessons: Lessons, over: Over) -> None:
    """Train `classifier` on native activations by cross-entropy; it is left in eval mode."""
    optimizer = _adam(classifier, lessons)
    generator = Generator().manual_seed(lessons.seed)
    classifier.train()
    for _ in range(lessons.epochs):
        for value, carried, labels in over("teaching", lambda: native.epoch(lessons.batch_size, generator))():
            _step(optimizer, functional.cross_entropy(classifier(value, *carried), labels))
    classifier.eval()


def finetune(classifier: nn.Module, native: Samples, outliers: Samples, lessons: Lessons, over: Over) -> None:
    """Go on with the energy loss, half of each batch native, half outliers; an epoch ends with the smaller of the two sets.

    Both halves pass together, so batch norms see what they hold in common (Liu et al. 2020). It is left in eval mode.
    """
    optimizer = _adam(classifier, lessons)
    generators = [Generator().manual_seed(lessons.seed + offset) for offset in (1, 2)]
    half = max(2, lessons.batch_size // 2)
    classifier.train()

    def pairs() -> Iterator[Any]:
        return zip(native.epoch(half, generators[0]), outliers.epoch(half, generators[1]), strict=False)

    for epoch in range(lessons.finetune_epochs):
        if epoch == lessons.finetune_epochs // 2 > 0:
            optimizer.param_groups[0]["lr"] *= 0.1
        for (value, carried, labels), (strange, beside, _) in over("fine-tuning", pairs)():
            both = [torch.cat(each) for each in zip((value, *carried), (strange, *beside), strict=True)]
            inside, outside = classifier(*both).split([len(value), len(strange)])
            _step(optimizer, energy.loss(inside, labels, outside, lessons.margins))
    classifier.eval()


def _adam(classifier: nn.Module, lessons: Lessons) -> torch.optim.Adam:
    return torch.optim.Adam(classifier.parameters(), lr=lessons.lr, weight_decay=lessons.weight_decay)


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
