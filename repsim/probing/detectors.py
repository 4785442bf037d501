"""Owns the detectors of a group: which are wanted at which layer of g, each fitted once, on native activations alone."""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from repsim.data.batches import ordered
from repsim.data.images import Images
from repsim.probing import classifiers, schooling
from repsim.probing.energy import energy
from repsim.probing.gaussians import ClassMoments, Gaussians, Mahalanobis
from repsim.probing.schooling import Lessons, Over, Samples
from repsim.stitching import activations, packing
from repsim.stitching.feeding import SCORED_AT_ONCE
from repsim.stitching.pair import Needs, Pair

GAUSSIAN = {"mahalanobis": False, "relative_mahalanobis": True}  # name → whether it is relative


@dataclass(frozen=True)
class School:
    """All that makes a classifier of activations; `outliers`, `count` and `inliers` are read for the fine-tuning only.

    Attributes:
        kind, width: see `classifiers.make`.
        outliers: names of auxiliary outliers, see `outliers.gather`, and how many of them (None: as many as there are native ones).
        inliers: data set that is native while it is fine-tuned; None: that of the stitch.
    """

    kind: str
    width: int | None
    lessons: Lessons
    outliers: tuple[str, ...]
    count: int | None
    inliers: str | None


@dataclass(frozen=True)
class Wanted:
    """A detector at a layer of g: `school` of one that is trained, `shrinkage` of a Gaussian one, the other None."""

    layer: str
    kind: str
    school: School | None = None
    shrinkage: float | None = None


class Detector(Protocol):
    """Scores activations: the higher, the less native."""

    def look(self, value: Tensor, carried: tuple[Tensor, ...] = ()) -> tuple[Tensor, Tensor]:
        """Scores (n,) of activations (n, …), and the class (n,) that each is taken for; `carried` passes the cut by."""
        ...


class Classified:
    """The score of a classifier's logits: its energy, or −log of its largest probability (msp; in fp64, where few are equal)."""

    def __init__(self, classifier: nn.Module, kind: str):
        self.classifier, self._kind = classifier.eval(), kind

    @torch.no_grad()
    def look(self, value: Tensor, carried: tuple[Tensor, ...] = ()) -> tuple[Tensor, Tensor]:
        """As `Detector.look`."""
        logits = self.classifier(value.float(), *carried)
        exact = logits.double() if logits.device.type != "mps" else logits.cpu().double()
        score = energy(exact) if self._kind == "energy" else -functional.log_softmax(exact, -1).max(-1).values
        return score, logits.argmax(-1)


@dataclass(frozen=True)
class Fitted:
    """A detector, and what it was fitted on: native images, outliers; its trained values; seconds (shared work in each)."""

    detector: Detector
    images: int
    outliers: int = 0
    parameters: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Ground:
    """What detectors are fitted on: g, its training images, further images by what names them, and who hears of progress."""

    pair: Pair
    native: Images
    strange: Callable[[School], Images]
    inliers: Callable[[str], Images]
    over: Over


def fit(ground: Ground, wanted: Iterable[Wanted]) -> dict[Wanted, Fitted]:
    """Every detector once; those of one layer share the activations of g, and those of one school its teaching."""
    found: dict[Wanted, Fitted] = {}
    wanted = list(dict.fromkeys(wanted))
    for layer in dict.fromkeys(one.layer for one in wanted):
        here = [one for one in wanted if one.layer == layer]
        schools = list(dict.fromkeys(one.school for one in here if one.school))
        native = _samples(ground, ground.native, layer, again=bool(schools))
        found |= _gaussian(ground, native, [one for one in here if one.kind in GAUSSIAN])
        for school in schools:
            found |= _schooled(ground, native, school, [one for one in here if one.school == school])
    return found


def _gaussian(ground: Ground, native: Samples, wanted: Sequence[Wanted]) -> dict[Wanted, Fitted]:
    if not wanted:
        return {}
    begun, gaussians, images = perf_counter(), _moments(ground, native), len(native.images)
    made = {one: Mahalanobis(gaussians, one.shrinkage or 0.0, GAUSSIAN[one.kind]) for one in wanted}
    seconds = perf_counter() - begun
    return {one: Fitted(detector, images, seconds=seconds) for one, detector in made.items()}


def _moments(ground: Ground, native: Samples) -> Gaussians:
    moments = ClassMoments(native.images.classes)
    batches = ground.over("fitting", lambda: ordered(native.images, SCORED_AT_ONCE))
    for reading, labels in activations.in_order(native.source, batches()):
        moments.add(reading.end[native.layer], labels)
    return moments.fitted()


def _schooled(ground: Ground, native: Samples, school: School, wanted: Sequence[Wanted]) -> dict[Wanted, Fitted]:
    begun, pair, layer = perf_counter(), ground.pair, native.layer
    shape = pair.end_shapes[layer]
    classifier = classifiers.make(school.kind, school.width, pair.end, layer, shape, school.lessons.seed)
    schooling.teach(classifier, native, school.lessons, ground.over)
    parameters = sum(parameter.numel() for parameter in classifier.parameters())
    made = partial(Fitted, parameters=parameters)
    taught = [one for one in wanted if one.kind != "energy"]
    copied = copy.deepcopy(classifier) if taught and len(taught) < len(wanted) else classifier
    seconds = perf_counter() - begun
    found = {one: made(Classified(copied, one.kind), len(native.images), seconds=seconds) for one in taught}
    for one in wanted:
        if one.kind == "energy":
            inside, strange = _beside(ground, native, school)
            schooling.finetune(classifier, inside, strange, school.lessons, ground.over)
            seen = len(inside.images), len(strange.images)
            found[one] = made(Classified(classifier, one.kind), *seen, seconds=perf_counter() - begun)
    return found


def _beside(ground: Ground, native: Samples, school: School) -> tuple[Samples, Samples]:
    """Native activations and those of outliers, for the fine-tuning."""
    inside = native if school.inliers is None else _samples(ground, ground.inliers(school.inliers), native.layer, again=True)
    return inside, _samples(ground, ground.strange(school), native.layer, again=True)


def _samples(ground: Ground, images: Images, layer: str, again: bool) -> Samples:
    """Activations at a layer, kept where they are read again and fit."""
    needs = Needs(end=(layer,), carried=(layer,))
    budget = packing.keep_budget(ground.pair.device) // 2
    feed = partial(ordered, images, SCORED_AT_ONCE)
    return Samples(images, activations.source(ground.pair, needs, feed, len(images) if again else 0, budget), layer)
