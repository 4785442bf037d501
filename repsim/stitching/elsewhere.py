"""Owns what a stitch across tasks is scored by: images with the classes of g, and what f and g do on theirs and on another set."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from repsim.data.batches import ordered
from repsim.data.images import Images, load, take
from repsim.data.splits import SEED, Splits
from repsim.robustness import losses
from repsim.stitching import tasks
from repsim.stitching.pair import Batch, Pair

AT_ONCE = 500  # images


@dataclass(frozen=True)
class Seen:
    """Test images of one data set: as f was taught them, None where it was not; and with the classes of g, its own or by a map."""

    front: Images | None
    end: Images
    mapped: bool

    @property
    def both(self) -> bool:
        """Whether f and g were made for these images: only then is a stitch's penalty their mean accuracy less its own."""
        return self.front is not None and not self.mapped


@dataclass(frozen=True)
class Told:
    """Accuracy of f, None where it answers in other classes, and of g on the images of `Seen`."""

    front: float | None
    end: float
    mapped: bool
    images: int | None = None

    @property
    def mean(self) -> float | None:
        """Of f and g; None where either has another task."""
        return None if self.front is None or self.mapped else (self.front + self.end) / 2


@dataclass(frozen=True)
class Across:
    """The images of a group with the classes of g, and a second data set to be scored on."""

    splits: Splits
    here: Seen
    other: Seen | None

    def told(self, pair: Pair) -> tuple[Told, Told | None]:
        """What f and g score here and on the other data set."""
        return _told(pair, self.here), self.other and _told(pair, self.other)


def across(c: Any, pair: Pair, splits: Splits, context: Any) -> Across:
    """What the Config `c` of a group means by its label maps; `pair` is told whether f answers in the classes of g."""
    classes = pair.end.facts.classes
    renamed = tasks.renamed(c.label_map, "label_map", splits.test.classes)
    whole = _all_relabelled(splits, renamed, classes) if c.label_map else splits
    here = Seen(splits.test if _is_own(c, c.dataset) else None, whole.test, c.label_map is not None)
    pair.same_task = here.both
    return Across(whole, here, None if c.eval_dataset is None else _other(c, classes, context))


def batches(images: Images) -> Iterable[Batch]:
    """All of them, in order."""
    return ordered(images, AT_ONCE)


@torch.no_grad()
def accuracy(network: Callable[[Tensor], Tensor], images: Images) -> float:
    """Share of the images put into the right class."""
    return sum(float(losses.right(network(x), y).sum()) for x, y in batches(images)) / len(images)


def _told(pair: Pair, seen: Seen) -> Told:
    front = None if seen.front is None else accuracy(pair.front, seen.front)
    return Told(front, accuracy(pair.end, seen.end), seen.mapped, len(seen.end))


def _is_own(c: Any, name: str) -> bool:
    """Whether f was made for the data set `name`; a Config that does not say was written for one task."""
    return (c.front_dataset or c.dataset) == name


def _other(c: Any, classes: int, context: Any) -> Seen:
    whole = load(c.eval_dataset, "test", context.data_folders, context.cache, context.device)
    test = take(whole, None if c.test_images is None else min(c.test_images, len(whole)), SEED)
    renamed = tasks.renamed(c.eval_label_map, "eval_label_map", test.classes)
    mapped = c.eval_label_map is not None
    own = test if _is_own(c, c.eval_dataset) else None
    return Seen(own, _relabelled(test, renamed, classes) if mapped else test, mapped)


def _relabelled(images: Images, renamed: Sequence[int] | None, classes: int) -> Images:
    """The same images with the classes of g: class k is `renamed[k]`; None: k itself."""
    labels = images.labels
    if renamed is not None:
        labels = torch.tensor(renamed, device=labels.device)[labels]
    return replace(images, labels=labels, classes=classes)


def _all_relabelled(splits: Splits, renamed: Sequence[int] | None, classes: int) -> Splits:
    train, match, test = (_relabelled(part, renamed, classes) for part in (splits.train, splits.match, splits.test))
    validation = None if splits.validation is None else _relabelled(splits.validation, renamed, classes)
    return Splits(train, match, validation, test)
