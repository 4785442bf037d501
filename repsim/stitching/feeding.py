"""Owns the batches that a group of stitchers is fed: shuffled, in order, reported as they go, cut short in a dry run."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from math import ceil
from typing import Any

import torch

from repsim.data.augmentations import Augmentation
from repsim.data.batches import batches, ordered
from repsim.data.images import Images, take
from repsim.data.splits import SEED, Splits
from repsim.errors import InputError
from repsim.stitching.engine import Feed
from repsim.stitching.pair import Pair

ATTACKED_AT_ONCE = 250  # images of 32×32 pixels, fewer of larger ones: what an attack keeps is for its gradient
SCORED_AT_ONCE = 500  # images; the engine splits what does not fit
ORDER = 0  # seed of the order of matching: neighbours, which the null pairs, must be no kin in a data set sorted by class


@dataclass
class Progress:
    """Calls `tick(fraction, text)` for each batch of each loop; `steps` bounds every loop (None: no bound)."""

    tick: Callable[[float, str], None]
    expected: int
    steps: int | None = None
    done: int = 0

    def over(self, text: str, loop: Callable[[], Iterable[Any]]) -> Callable[[], Iterator[Any]]:
        """The same batches, reported as `text`."""

        def reported() -> Iterator[Any]:
            for batch in islice(loop(), self.steps):
                self.done += 1
                self.tick(min(1.0, self.done / self.expected), text)
                yield batch

        return reported

    def still(self) -> None:
        """Called on the way through a batch: nothing more is done, but who was told to stop may leave."""
        self.tick(min(1.0, self.done / self.expected), "attacking")


@dataclass
class Order:
    """The order and the changes of the training images, by one generator; `epoch` epochs were drawn from it."""

    generator: torch.Generator
    splits: Splits
    batch_size: int
    progress: Progress
    epoch: int = 0

    def draw(self, augment: Augmentation) -> Iterator[Any]:
        """The batches of the next epoch."""
        self.epoch += 1
        return batches(self.splits.train, self.batch_size, self.generator, augment, self.epoch - 1)

    def state(self) -> torch.Tensor:
        """Of the generator, between two epochs."""
        return self.generator.get_state()

    def restore(self, state: torch.Tensor, epoch: int) -> None:
        """Go on behind `epoch` epochs, whose batches count as done."""
        self.generator.set_state(state)
        self.epoch = epoch
        per_epoch = ceil(len(self.splits.train) / self.batch_size) + ceil(len(self.splits.validation or ()) / SCORED_AT_ONCE)
        self.progress.done += epoch * per_epoch


def ordering(splits: Splits, batch_size: int, data_seed: int, progress: Progress) -> Order:
    """The order that `data_seed` gives."""
    return Order(torch.Generator().manual_seed(data_seed), splits, batch_size, progress)


def feed(
    splits: Splits, batch_size: int, augment: Augmentation, order: Order, progress: Progress, other: Images | None = None
) -> Feed:
    """All passes over the images; only the order and the changes of the training images are random, by `order`.

    `other`: images of another data set that all is scored on besides.
    """
    validation, whole = splits.validation, augment == "none" and progress.steps is None
    mixed = splits.match.subset(torch.randperm(len(splits.match), generator=torch.Generator().manual_seed(ORDER)))
    at_once = max(1, ATTACKED_AT_ONCE * 32**2 // splits.test.shape[-1] ** 2)
    return Feed(
        shuffled=progress.over("training", lambda: order.draw(augment)),
        training=progress.over("reading", lambda: ordered(splits.train, batch_size)),
        matching=progress.over("matching", lambda: ordered(mixed, SCORED_AT_ONCE)),
        test=progress.over("testing", lambda: ordered(splits.test, SCORED_AT_ONCE)),
        validation=None if validation is None else progress.over("validating", lambda: ordered(validation, SCORED_AT_ONCE)),
        images=len(splits.train) if whole else 0,
        attacked=lambda n: progress.over("attacking", lambda: ordered(take(splits.test, n, SEED), at_once))(),
        tick=progress.still,
        elsewhere=None if other is None else progress.over("testing", lambda: ordered(other, SCORED_AT_ONCE)),
        held_out=0 if validation is None or progress.steps is not None else len(validation),
    )


def expected_batches(splits: Splits, batch_size: int, epochs: int) -> int:
    """About how many batches a group reads; re-estimated batch norms add to it."""
    scored = 4 * len(splits.test) + len(splits.match) + epochs * len(splits.validation or ())
    return epochs * ceil(len(splits.train) / batch_size) + ceil(scored / SCORED_AT_ONCE)


def check_fit(pair: Pair, splits: Splits) -> None:
    """Raise InputError where a network was not made for images and classes such as these."""
    images = splits.train
    for network in (pair.front, pair.end):
        facts = network.facts
        fits = network is pair.end or pair.same_task
        classes = images.classes if fits else facts.classes  # across tasks f's answers are not read
        if (facts.channels, facts.size, facts.classes) != (*images.images.shape[1:3], classes):
            raise InputError(
                f"'{images.name}' does not fit a network made for {facts}",
                where="dataset",
                do="name the data set it was trained on",
            )
