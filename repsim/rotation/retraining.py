"""Owns the retraining of one group: all matrices, seeds and starts behind one layer of one network, on the same batches.

The frozen network up to the layer is read once per batch, and kept where it is read again, does not change and fits. Each arm then
makes a step of its own on that reading, one after the other: on one CPU core (batches of 128, 7 arms, channels-last) that took 0.67
to 0.91 of the time of one pass over stacked weights (`torch.func.vmap`) behind the middle layers of tiny10 and resnet20, and more
(58 ms against 22) only behind the sixth of eight layers of tiny10, where all of it is cheap. No GPU was measured.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from repsim.models.switches import switched
from repsim.rotation.arms import Arm
from repsim.rotation.inserted import Inserted
from repsim.rotation.prefix import Prefix
from repsim.rotation.resume import Resume
from repsim.stitching import activations, scores
from repsim.stitching.activations import Fresh, Kept
from repsim.stitching.engine import Feed
from repsim.stitching.packing import keep_budget
from repsim.stitching.pair import Batch
from repsim.stitching.scores import Score

Pause = Callable[[], None]
"""Called between two arms; what it raises passes through."""


def measure(prefix: Prefix, arms: Sequence[Arm], feed: Feed, pause: Pause = lambda: None, resume: Resume | None = None) -> Score:
    """Score every arm as it starts, retrain it from where `resume` has it, and score its epoch that counts.

    Gives the score of the network itself.

    The validation images alone say which epoch counts; the test images are read before the first epoch and after the last.
    """
    original = Inserted(prefix.suffix, None)
    with switched(prefix.device):
        itself, *starts = score(prefix, [original, *(arm.network for arm in arms)], Fresh(prefix, prefix.needs), feed.test())
        _train(prefix, arms, feed, pause, resume)
        there = [arm for arm in arms if not arm.diverged]
        for arm in there:
            arm.settle()
        ends = score(prefix, [arm.network for arm in there], Fresh(prefix, prefix.needs), feed.test())
    for arm, found in zip(arms, starts, strict=True):
        arm.started = found
    for arm, found in zip(there, ends, strict=True):
        arm.scored = found
    return itself


@torch.no_grad()
def score(prefix: Prefix, networks: Sequence[Inserted], readings: Fresh | Kept, batches: Iterable[Batch]) -> list[Score]:
    """The score of each network behind the layer in eval mode, all on one reading of each batch; sums in fp64."""
    totals: list[Tensor] = []
    for network in networks:
        network.eval()
    for reading, labels in activations.in_order(readings, batches) if networks else ():
        inputs = prefix.inputs(reading)
        sums = torch.cat([scores.sums(network(inputs)[None], labels, None) for network in networks])
        totals = [sums if not totals else totals[0] + sums]
    return [scores.score(row, prefix.network.facts.classes) for row in (totals[0].cpu() if totals else ())]


def _train(prefix: Prefix, arms: Sequence[Arm], feed: Feed, pause: Pause, resume: Resume | None) -> None:
    epochs = max(arm.asked.recipe.epochs for arm in arms)
    first = resume.load(arms) if resume else 0
    readings, held_out = _sources(prefix, feed, epochs - first)
    for epoch in range(first, epochs):
        active = [arm for arm in arms if arm.wants(epoch)]
        if not active:
            return
        for arm in active:
            arm.network.train()
        for x, y, index in feed.shuffled():
            _step(active, prefix.inputs(readings.read(x, index)), y, pause)
        for arm in active:
            arm.finish_epoch()
        _judge(prefix, [arm for arm in active if arm.wants_judgement], held_out, feed)
        if resume:
            resume.epoch_ended(epoch + 1, arms)


def _step(active: Sequence[Arm], inputs: tuple[Tensor, ...], y: Tensor, pause: Pause) -> None:
    for arm in active:
        arm.learn(inputs, y)
        pause()


def _judge(prefix: Prefix, arms: Sequence[Arm], held_out: Fresh | Kept | None, feed: Feed) -> None:
    if held_out is None or feed.validation is None:
        return
    found = score(prefix, [arm.network for arm in arms], held_out, feed.validation())
    for arm, one in zip(arms, found, strict=True):
        arm.judge(one)


def _sources(prefix: Prefix, feed: Feed, epochs: int) -> tuple[Fresh | Kept, Fresh | Kept | None]:
    """Readings of the training and the validation images."""
    budget, again, needs = keep_budget(prefix.device), epochs > 1, prefix.needs
    readings = activations.source(prefix, needs, feed.training, feed.images if again else 0, budget, training=True)
    if feed.validation is None:
        return readings, None
    kept = feed.held_out if again else 0
    return readings, activations.source(prefix, needs, feed.validation, kept, budget // 4)
