"""Owns the packed training of one group: all stitchers of one pair of networks, on the same batches.

For one batch, one forward of f serves every front layer; the stitchers of one end layer share one pass of the frozen
suffix (see `packing`). This equals training each stitcher alone with the same batches, to rounding.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal, Protocol

import torch
from torch import Tensor

from repsim.stitching import activations, adversarial, batchnorm, packing, targets
from repsim.stitching.activations import Fresh, Kept
from repsim.stitching.evaluation import Entry, evaluate, needs, reestimated
from repsim.stitching.optimizers import Optimizers
from repsim.stitching.pair import Batch, Needs, Pair, Reading
from repsim.stitching.runs import Run
from repsim.stitching.stitchers import project_all, project_gradients
from repsim.stitching.targets import Outputs

Norms = Literal["frozen", "train", "reestimate"]


@dataclass(frozen=True)
class Feed:
    """The images of a group; every call starts a new pass. To report progress, or to leave, is up to them.

    `shuffled` gives (x, y, positions) of one training epoch, `training` the same images in order, `matching` those that
    direct matching uses; `validation` may be None. `images` is the number of training images if an activation may be
    kept for each (no augmentation), else 0; `held_out` the same of the validation images. `attacked` gives so many
    of the test images (None: all) to be attacked, and `tick` is called before each step of that. `elsewhere` gives the
    test images of another data set, if there is one.
    """

    shuffled: Callable[[], Iterable[tuple[Tensor, Tensor, Tensor]]]
    training: Callable[[], Iterable[Batch]]
    matching: Callable[[], Iterable[Batch]]
    test: Callable[[], Iterable[Batch]]
    validation: Callable[[], Iterable[Batch]] | None = None
    images: int = 0
    held_out: int = 0
    attacked: Callable[[int | None], Iterable[Batch]] | None = None
    tick: Callable[[], None] = lambda: None
    elsewhere: Callable[[], Iterable[Batch]] | None = None


class Resumes(Protocol):
    """Where the training of a group is kept between two epochs; see `resume.Resume`."""

    def load(self, runs: Sequence[Run], optimizers: Optimizers) -> int: ...
    def epoch_ended(self, epoch: int, runs: Sequence[Run], optimizers: Optimizers) -> None: ...


class Engine:
    """Trains the runs of one group, and judges their epochs.

    Args:
        norms: batch norm of g behind the cut. "frozen": g's statistics. "train": those of the batch while S is
            trained, of each stitcher alone, which enter running ones of its own, used when it is evaluated.
            "reestimate": g's while S is trained; re-estimated on the training images before each evaluation.
        budget: bytes that autograd may keep of one packed pass; by default `packing.pass_budget`.
    """

    def __init__(self, pair: Pair, feed: Feed, norms: Norms = "frozen", budget: int | None = None):
        self.pair, self.feed, self.norms = pair, feed, norms
        self.budget = packing.pass_budget(pair.device) if budget is None else budget

    def train(self, runs: Sequence[Run], resume: Resumes | None = None) -> None:
        """Train every run for its own number of epochs and judge it after each; diverged runs drop out.

        `resume` brings them to the epoch in which an earlier attempt was left, and is told of each that ends.
        """
        epochs = max((run.training.epochs for run in runs), default=0)
        if self.norms == "train":
            for run in runs:
                run.statistics = batchnorm.own(self.pair.suffix(run.end_layer, run.also))
        optimizers = Optimizers(runs)
        first = resume.load(runs, optimizers) if resume else 0
        readings, held_out = self._sources(runs, epochs)
        for epoch in range(first, epochs):
            active = [run for run in runs if run.wants(epoch)]
            if active:
                self._epoch(active, epoch, readings, optimizers)
                self._judge(active, held_out)
            if resume:
                resume.epoch_ended(epoch + 1, runs, optimizers)
        self._judge([run for run in runs if run.training.epochs == 0], held_out)

    def ready(self, entries: Sequence[Entry]) -> list[Entry]:
        """The entries as they are evaluated: with statistics of their own unless g's are to be used, re-estimated if need be."""
        missing = [entry for entry in entries if entry.statistics is None] if self.norms != "frozen" else []
        if not missing:
            return list(entries)
        found = dict(zip(missing, reestimated(self.pair, missing, self.feed.training(), self.budget), strict=True))
        return [found.get(entry, entry) for entry in entries]

    def _epoch(self, active: list[Run], epoch: int, readings: Fresh | Kept, optimizers: Optimizers) -> None:
        parts: list[list[Run]] = []
        sums, images = [], 0
        for x, y, index in self.feed.shuffled():
            reading = readings.read(x, index)
            reading = reading.displaced() if self.pair.shuffled else reading
            parts = parts or self._parts(active, reading, x)
            sums.append(self._step(parts, epoch, reading, (x, y), optimizers) * len(y))
            images += len(y)
        means = torch.stack(sums).cpu().double().sum(0) / images
        for run, mean in zip(chain.from_iterable(parts), means.tolist(), strict=True):
            run.finish_epoch(mean)

    def _parts(self, active: list[Run], reading: Reading, x: Tensor) -> list[list[Run]]:
        """Runs that can share a pass; those that are trained on attacked images pass alone."""
        attacked = [run for run in active if run.objective.adversary is not None]
        plain = [run for run in active if run.objective.adversary is None]
        alone = adversarial.chunks(self.pair, attacked, x, self.budget)
        return packing.chunks(self.pair, plain, reading, self.budget) + alone

    def _step(self, parts: list[list[Run]], epoch: int, reading: Reading, batch: Batch, optimizers: Optimizers) -> Tensor:
        """One step of every run; their losses, in the order of `parts`."""
        runs = [run for part in parts for run in part]
        for run in runs:
            run.stitcher.begin_step(epoch, run.training.epochs, run.steps)
            run.steps += 1
        optimizers.clear()
        losses = torch.cat(packing.each(parts, lambda part: self._learn(part, reading, *batch), self.pair.device, _forget))
        stitchers = [run.stitcher for run in runs]
        project_gradients(stitchers, [run.training.lr_at(epoch) for run in runs])
        optimizers.step(epoch)
        project_all(stitchers)
        return losses

    def _learn(self, part: list[Run], reading: Reading, x: Tensor, y: Tensor) -> Tensor:
        """Gradients of the stitchers of one part; their losses."""
        if part[0].objective.adversary is not None:
            losses = adversarial.losses(self.pair, part, reading, x, y)
        else:
            losses = _losses(part, packing.learn(self.pair, part, reading, self.norms == "train"), reading, y)
        penalties = [penalty for run in part for penalty in _penalties(run)]
        (losses.sum() + sum(penalties)).backward()
        return losses.detach()

    def _judge(self, runs: Sequence[Run], held_out: Fresh | Kept | None) -> None:
        """Score the epoch just run where a score is used; on the test images only where that was asked for."""
        judged = [run for run in runs if run.wants_judgement()]
        on_test = [run for run in judged if run.select == "test_best"]
        if on_test:
            self._score(on_test, Fresh(self.pair, needs(run.now for run in on_test)), self.feed.test())
        rest = [run for run in judged if run.select != "test_best"]
        if rest and held_out is not None and self.feed.validation is not None:
            self._score(rest, held_out, self.feed.validation())

    def _score(self, runs: list[Run], readings: Fresh | Kept, batches: Iterable[Batch]) -> None:
        entries = self.ready([run.now.rounded() for run in runs])
        scores = evaluate(self.pair, entries, activations.in_order(readings, batches), self.budget)
        for run, score in zip(runs, scores, strict=True):
            run.judge(score)

    def _sources(self, runs: Sequence[Run], epochs: int) -> tuple[Fresh | Kept, Fresh | Kept | None]:
        """Readings of the training and the validation images: kept where they are read again, do not change, and fit."""
        budget, again = packing.keep_budget(self.pair.device), epochs > 1
        kept = self.feed.images if again else 0
        readings = activations.source(self.pair, _needs(runs), self.feed.training, kept, budget, training=True)
        if self.feed.validation is None:
            return readings, None
        judged = needs(run.now for run in runs)
        return readings, activations.source(
            self.pair, judged, self.feed.validation, self.feed.held_out if again else 0, budget // 4
        )


def _needs(runs: Sequence[Run]) -> Needs:
    """What must be read of a batch to train these runs."""
    clean = [run for run in runs if run.objective.needs_clean]
    values = [run.end_layer for run in runs if run.objective.needs_value] + [layer for run in runs for layer in run.also]
    return Needs(
        front=tuple(dict.fromkeys(run.front_layer for run in clean)),
        carried=tuple(dict.fromkeys(run.end_layer for run in clean if run.needs_suffix)),
        end=tuple(dict.fromkeys(values)),
        front_logits=any(run.objective.needs_front_logits for run in runs),
        end_logits=any(run.objective.needs_end_logits for run in runs),
    )


def _losses(part: list[Run], outputs: Outputs, reading: Reading, y: Tensor) -> Tensor:
    """Losses (K,) of the runs of one part, those of one objective together."""
    alike: dict[targets.Objective, list[int]] = {}
    for place, run in enumerate(part):
        alike.setdefault(run.objective, []).append(place)
    found = [targets.losses(objective, outputs.of(places), reading, y) for objective, places in alike.items()]
    order = torch.tensor([place for places in alike.values() for place in places])
    return torch.cat(found)[order.argsort().to(y.device)] if len(found) > 1 else found[0]


def _penalties(run: Run) -> Iterable[Tensor]:
    """What the weights of a stitcher add to its loss."""
    own = run.stitcher.penalty()
    if own is not None:
        yield own
    if run.objective.l1:
        yield run.objective.l1 * run.stitcher.affine().matrix.abs().mean()


def _forget(part: list[Run]) -> None:
    for run in part:
        run.stitcher.zero_grad(set_to_none=True)
