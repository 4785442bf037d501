"""Owns one group from its starts to its measures: match, train, test, and compare at the cut."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from repsim.errors import InputError
from repsim.stitching import inits, matching
from repsim.stitching.engine import Engine, Feed, Outcome
from repsim.stitching.evaluation import predictions
from repsim.stitching.moments import Moments
from repsim.stitching.pair import Pair
from repsim.stitching.runs import Run, Select, Training
from repsim.stitching.stitchers import STITCHERS, Stitcher

Cut = tuple[str, str]  # front layer, end layer


@dataclass(frozen=True)
class Asked:
    """A stitcher to be started, trained and measured; `options` go to the class in `STITCHERS`."""

    key: str
    front_layer: str
    end_layer: str
    stitcher: str
    init: str = "random"
    seed: int = 0
    training: Training = field(default_factory=Training)
    select: Select = "last"
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cut(self) -> Cut:
        return self.front_layer, self.end_layer


@dataclass(frozen=True)
class Measured:
    """What came of one stitcher; outcome and residual (see `matching.residual`) are None where it diverged."""

    run: Run
    outcome: Outcome | None
    residual: float | None


@dataclass(frozen=True)
class Results:
    """Accuracies of f and g on the `images` test images, and every stitcher in the order asked."""

    front_accuracy: float
    end_accuracy: float
    images: int
    measured: list[Measured]

    @property
    def epochs_run(self) -> int:
        """Of all stitchers together."""
        return sum(each.run.epochs_run for each in self.measured)


def measure(pair: Pair, feed: Feed, asked: Sequence[Asked], batchnorm: str = "frozen") -> Results:
    """Do all stitchers of one pair of networks on shared passes.

    Raises InputError for layers that cannot be joined, before any pass over the images.
    """
    runs = _start(pair, feed, asked)
    engine = Engine(pair, feed, batchnorm)
    engine.train(runs)
    reference, end_accuracy = predictions(pair.end, feed.test())
    _, front_accuracy = predictions(pair.front, feed.test())
    outcomes = engine.test(runs, reference)
    held_out = pair.moments([want.cut for want in asked], feed.test())
    measured = [
        Measured(run, outcomes.get(run.key), None if run.diverged else _residual(run, held_out[want.cut]))
        for run, want in zip(runs, asked, strict=True)
    ]
    return Results(front_accuracy, end_accuracy, len(reference), measured)


def columns(each: Measured, results: Results) -> dict[str, Any]:
    """The numbers of one stitcher by name; those of the test images are left out where it diverged."""
    run, f, g = each.run, results.front_accuracy, results.end_accuracy
    learned = {
        "front_accuracy": f,
        "end_accuracy": g,
        "selected_epoch": run.selected_epoch,
        "epochs_run": run.epochs_run,
        "train_loss": _finite(run.train_loss),
        "stitcher_parameters": run.stitcher.parameter_count(),
    }
    if each.outcome is None:
        return learned
    selected, last, unrounded = each.outcome.selected, each.outcome.last, each.outcome.unrounded
    return learned | {
        "accuracy": selected.accuracy,
        "accuracy_last": last.accuracy,
        "accuracy_unrounded": unrounded and unrounded.accuracy,
        "rounding_loss": unrounded and unrounded.accuracy - selected.accuracy,
        "loss": _finite(selected.loss),
        "loss_last": _finite(last.loss),
        "validation_accuracy": run.validation and run.validation.accuracy,
        "penalty": (f + g) / 2 - selected.accuracy,
        "penalty_end": g - selected.accuracy,
        "relative_accuracy": selected.accuracy / g if g else None,
        "residual": _finite(each.residual),
        "agreement": selected.agreement,
    }


def _start(pair: Pair, feed: Feed, asked: Sequence[Asked]) -> list[Run]:
    stitchers = [_build(pair, want) for want in asked]
    matched = [want.cut for want in asked if want.init in inits.FROM_MOMENTS]
    moments = pair.moments(matched, feed.matching()) if matched else {}
    for want, stitcher in zip(asked, stitchers, strict=True):
        generator = torch.Generator().manual_seed(want.seed)
        inits.start_(stitcher, want.init, generator, moments.get(want.cut))
    return [
        Run(want.key, want.front_layer, want.end_layer, stitcher.to(pair.device), want.training, want.select)
        for want, stitcher in zip(asked, stitchers, strict=True)
    ]


def _build(pair: Pair, want: Asked) -> Stitcher:
    front, end = pair.front_shapes[want.front_layer], pair.end_shapes[want.end_layer]
    if front[1:] != end[1:]:
        raise InputError(
            f"the layers have other spatial sizes: {front} at '{want.front_layer}' and {end} at '{want.end_layer}'",
            where="front_layer, end_layer",
            do="choose layers of the same height and width",
        )
    return STITCHERS[want.stitcher](front[0], end[0], **want.options)


def _residual(run: Run, moments: Moments) -> float:
    return matching.residual(moments, run.selected.rounded().affine())


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
