"""Owns all probes of one network from its images to their scores: gather, train, choose λ, test.

Each set of images passes through the network once for all layers, ranks and λ; the training images once more where probes are
trained, and in every epoch only where their rows do not fit into memory.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from repsim.data.splits import Splits
from repsim.models.network import Network
from repsim.probing import gathered, trained
from repsim.probing.asked import Asked, Probed, Results
from repsim.probing.gathered import Gathered
from repsim.probing.ridge import GRID, Heads, best, solve
from repsim.probing.rows import Eye
from repsim.probing.scores import Batches, Bench, Score, Scored, joined, score
from repsim.probing.trained import Stack
from repsim.similarity import reading
from repsim.stitching.engine import Feed
from repsim.stitching.feeding import ORDER
from repsim.stitching.packing import keep_budget

Ones = Mapping[Asked, Heads]


def measure(network: Network, splits: Splits, feed: Feed, asked: Sequence[Asked]) -> Results:
    """Fit and score all probes of one network, in eval mode, without TF32 or autocast.

    Raises InputError for layers that it does not have, NotFinite for layers whose activations are not finite numbers.
    """
    with reading.exactly(), reading.evaluating(network):
        return _Probing(network, splits, feed, asked).all()


class _Probing:
    """One group under way."""

    def __init__(self, network: Network, splits: Splits, feed: Feed, asked: Sequence[Asked]):
        self._splits, self._feed, self._asked = splits, feed, asked
        self._eye, self._classes = Eye(network, [one.site.layer for one in asked]), network.facts.classes
        self._device = network.mean.device

    def all(self) -> Results:
        """All that was asked: moments gathered, λ chosen on validation images, every probe and its null scored on test images."""
        sites, ranked = {one.site: None for one in self._asked}, {one.site.layer for one in self._asked if one.rank is not None}
        known = gathered.gather(self._eye, self._feed.matching(), sites, ranked, self._classes)
        stacks = self._trained(known)
        paths = {one: _path(one, known) for one in self._asked if one.training is None}
        pairs = {one: pair for stack in stacks for one, pair in stack.pairs().items()}
        validated = self._validated({**paths, **pairs})
        chosen = {one: _place(one, validated) for one in paths}
        final = {one: _with_null(one, known, path, chosen[one]) for one, path in paths.items()} | pairs
        tested = self._scored(final, self._feed.test())
        notes = {one: note for stack in stacks for one, note in stack.notes().items()}
        majority = int(torch.bincount(self._splits.train.labels.cpu(), minlength=self._classes).argmax())
        told = [(one, tested.heads[one], validated.get(one), chosen.get(one), notes.get(one)) for one in self._asked]
        images, probed = int(tested.counts.sum()), [_probed(known, *each) for each in told]
        return Results(probed, tested.network, int(tested.counts[majority]) / images, images)

    def _trained(self, known: Gathered) -> list[Stack]:
        wanted = [one for one in self._asked if one.training is not None]
        if not wanted:
            return []
        widths = {site: len(moments.xx) for site, moments in known.moments.items()}
        found = trained.stacks(wanted, known.bases, widths, self._classes, self._device)
        sites = list(dict.fromkeys(stack.site for stack in found))
        needed = 4 * len(self._splits.train) * sum(widths[site] for site in sites)
        room = self._feed.images > 0 and needed <= keep_budget(self._device)
        see = trained.reader(self._eye, self._feed.training, sites, room)
        trained.train(found, self._feed.shuffled, see, others(self._splits.train.labels))
        return found

    def _validated(self, heads: Ones) -> dict[Asked, list[Score]]:
        """What the candidates of each probe score on the validation images."""
        return self._scored(heads, self._feed.validation()).heads if self._feed.validation else {}

    def _scored(self, heads: Ones, batches: Batches) -> Scored[Asked]:
        benches = {one: (Bench(one.site, one.training is not None), own) for one, own in heads.items()}
        return score(self._eye, batches, benches, self._classes)


def others(labels: Tensor) -> Tensor:
    """By position of an image the label of another one: the next in a random order, around all of them."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(ORDER)).to(labels.device)
    found = torch.empty_like(labels)
    found[order] = labels[order.roll(1)]
    return found


def lambdas(one: Asked) -> tuple[float, ...]:
    """The λ that a closed form is computed for."""
    return GRID if one.ridge is None else (one.ridge,)


def _path(one: Asked, known: Gathered) -> Heads:
    """One head for each λ."""
    return solve(known.moments[one.site], known.bases[one.site], one.rank, lambdas(one))


def _place(one: Asked, validated: Mapping[Asked, Sequence[Score]]) -> int:
    """Which λ is taken."""
    scores = validated.get(one, ())
    return best([each.accuracy for each in scores], [each.brier for each in scores]) if one.ridge is None else 0


def _with_null(one: Asked, known: Gathered, path: Heads, place: int) -> Heads:
    """The chosen head, and the same of labels of other images."""
    null = solve(known.shuffled[one.site], known.bases[one.site], one.rank, lambdas(one)[place : place + 1])
    return joined((Heads(path.weight[place : place + 1], path.bias[place : place + 1]), null))


def _probed(
    known: Gathered,
    one: Asked,
    tested: Sequence[Score],
    validated: Sequence[Score] | None,
    place: int | None,
    note: tuple[float, bool] | None,
) -> Probed:
    loss, diverged = note or (None, False)
    real, null = tested
    return Probed(
        asked=one,
        score=None if diverged else real,
        null=None if diverged else null,
        validation=None if validated is None or diverged else validated[place or 0].accuracy,
        ridge=None if place is None else lambdas(one)[place],
        explained=known.bases[one.site].explained(one.rank),
        width=len(known.moments[one.site].xx),
        train_loss=None if diverged else loss,
    )
