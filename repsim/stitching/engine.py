"""Owns the packed training of one group: all stitchers of one pair of networks, on the same batches.

For one batch, one forward of f serves every front layer; the stitchers of one end layer share one pass of the frozen
suffix (see `packing`). This equals training each stitcher alone with the same batches, to rounding.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, optim
from torch.nn import functional

from repsim.stitching import packing
from repsim.stitching.activations import Fresh, Kept, footprint
from repsim.stitching.evaluation import Entry, Score, evaluate, with_statistics
from repsim.stitching.pair import Batch, Pair, Reading
from repsim.stitching.runs import Run, entry
from repsim.stitching.stitchers import project_all

Loss = Callable[[Tensor, Tensor], Tensor]  # logits (K, n, classes), labels (n,) → mean loss of each stitcher (K,)


@dataclass(frozen=True)
class Feed:
    """The images of a group; every call starts a new pass. To report progress, or to leave, is up to them.

    `shuffled` gives (x, y, positions) of one training epoch, `training` the same images in order, `matching` those that
    direct matching uses; `validation` may be None. `images` is the number of training images if an activation may be
    kept for each (no augmentation), else 0.
    """

    shuffled: Callable[[], Iterable[tuple[Tensor, Tensor, Tensor]]]
    training: Callable[[], Iterable[Batch]]
    matching: Callable[[], Iterable[Batch]]
    test: Callable[[], Iterable[Batch]]
    validation: Callable[[], Iterable[Batch]] | None = None
    images: int = 0


@dataclass(frozen=True)
class Outcome:
    """What a run scored on the test split; `unrounded` only where rounding changes the stitcher. None if it diverged."""

    selected: Score
    last: Score
    unrounded: Score | None


def hard(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy (K,) of logits (K, n, classes) to labels (n,)."""
    losses = functional.cross_entropy(logits.flatten(0, 1), labels.repeat(len(logits)), reduction="none")
    return losses.unflatten(0, (len(logits), -1)).mean(-1)


class Engine:
    """Trains and measures the runs of one group.

    Args:
        batchnorm: "frozen": g's own statistics; "reestimate": re-estimated per stitcher before each evaluation.
        budget: bytes that autograd may keep of one packed pass; by default `packing.pass_budget`.
    """

    def __init__(
        self,
        pair: Pair,
        feed: Feed,
        batchnorm: str = "frozen",
        loss: Loss = hard,
        budget: int | None = None,
    ):
        self.pair, self.feed, self.batchnorm, self.loss = pair, feed, batchnorm, loss
        self.budget = packing.pass_budget(pair.device) if budget is None else budget

    def train(self, runs: Sequence[Run]) -> None:
        """Train every run for its own number of epochs and validate it after each; diverged runs drop out."""
        epochs = max((run.training.epochs for run in runs), default=0)
        source = self._source(epochs)
        optimizers = make_optimizers(runs)
        for epoch in range(epochs):
            active = [run for run in runs if run.wants(epoch)]
            for run in active:
                run.stitcher.begin_epoch(epoch, run.training.epochs)
            if active:
                self._epoch(active, source, optimizers)
                self._validate(active)
        self._validate([run for run in runs if run.training.epochs == 0])

    def test(self, runs: Sequence[Run], reference: Tensor | None = None) -> dict[str, Outcome]:
        """Outcomes by key of the runs that did not diverge; `reference` (N,) are classes to agree with, in test order."""
        sound = [run for run in runs if not run.diverged]
        asked = {(run.key, name): wanted for run in sound for name, wanted in _finals(run).items()}
        scores = dict(zip(asked, self._scores(list(asked.values()), self.feed.test, reference), strict=True))
        return {
            run.key: Outcome(scores[run.key, "selected"], scores[run.key, "last"], scores.get((run.key, "unrounded")))
            for run in sound
        }

    def _epoch(self, active: list[Run], source: Fresh | Kept, optimizers: list[optim.Optimizer]) -> None:
        parts: list[list[Run]] = []
        sums, images = [], 0
        for x, y, index in self.feed.shuffled():
            reading = source.read(x, index)
            parts = parts or packing.chunks(self.pair, active, reading, self.budget)
            losses = self._step(parts, reading, y, optimizers)
            sums.append(losses * len(y))
            images += len(y)
        means = torch.stack(sums).cpu().double().sum(0) / images
        for run, mean in zip(chain.from_iterable(parts), means.tolist(), strict=True):
            run.finish_epoch(mean)

    def _step(self, parts: list[list[Run]], reading: Reading, y: Tensor, optimizers: list[optim.Optimizer]) -> Tensor:
        """One step of every run; their losses, in the order of `parts`."""
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        losses = []
        for part in parts:
            own = self.loss(packing.forward(self.pair.suffixes[part[0].end_layer], part, reading), y)
            penalties = [penalty for run in part if (penalty := run.stitcher.penalty()) is not None]
            (own.sum() + sum(penalties)).backward()
            losses.append(own.detach())
        for optimizer in optimizers:
            optimizer.step()
        project_all([run.stitcher for part in parts for run in part])
        return torch.cat(losses)

    def _validate(self, runs: Sequence[Run]) -> None:
        judged = [run for run in runs if run.wants_validation()]
        if self.feed.validation is None or not judged:
            return
        scores = self._scores([entry(run, run.stitcher.rounded()) for run in judged], self.feed.validation)
        for run, score in zip(judged, scores, strict=True):
            run.validated(score)

    def _scores(self, entries: list[Entry], batches: Callable[[], Iterable[Batch]], reference: Tensor | None = None) -> list[Score]:
        """Scores of the distinct entries among `entries`, in their order."""
        distinct = list(dict.fromkeys(entries))
        if not distinct:
            return []
        ready = distinct if self.batchnorm == "frozen" else with_statistics(self.pair, distinct, self.feed.training())
        scores = evaluate(self.pair, ready, batches(), reference, self.budget)
        by_entry = dict(zip(distinct, scores, strict=True))
        return [by_entry[wanted] for wanted in entries]

    def _source(self, epochs: int) -> Fresh | Kept:
        """Keep f's activations on the device where they are read more than once, do not change, and fit."""
        if epochs > 1 and self.feed.images:
            x, _ = next(iter(self.feed.training()))
            if footprint(self.pair, x) * self.feed.images <= packing.keep_budget(self.pair.device):
                return Kept(self.pair, self.feed.training())
        return Fresh(self.pair)


def make_optimizers(runs: Iterable[Run]) -> list[optim.Optimizer]:
    """One optimizer per kind, with one parameter group for all runs of equal hyperparameters.

    Both kinds update each value on its own, so sharing a group changes nothing; values without a gradient rest.
    """
    groups: dict[str, dict[tuple[float, float, float], list[Tensor]]] = {}
    for run in runs:
        how = run.training
        decay = how.weight_decay if run.stitcher.decays else 0.0
        members = groups.setdefault(how.optimizer, {}).setdefault((how.lr, decay, how.momentum), [])
        members.extend(run.stitcher.parameters())
    filled = {kind: [_group(kind, *key, members) for key, members in g.items() if members] for kind, g in groups.items()}
    return [OPTIMIZERS[kind](settings) for kind, settings in filled.items() if settings]


def _group(kind: str, lr: float, weight_decay: float, momentum: float, parameters: list[Tensor]) -> dict:
    settings = {"params": parameters, "lr": lr, "weight_decay": weight_decay}
    return settings | {"momentum": momentum} if kind == "sgd" else settings


def _finals(run: Run) -> dict[str, Entry]:
    """What is measured of a run at its end; the same entry twice where the last epoch is the selected one."""
    selected = entry(run, run.selected.rounded())
    ended = run.best is None or run.selected_epoch == run.epochs_run
    finals = {"selected": selected, "last": selected if ended else entry(run, run.stitcher.rounded())}
    if selected.stitcher is not run.selected:
        finals["unrounded"] = entry(run, run.selected)
    return finals


OPTIMIZERS: dict[str, Callable[[list[dict]], optim.Optimizer]] = {"adam": optim.Adam, "sgd": optim.SGD}
