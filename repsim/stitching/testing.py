"""Owns the test of a group: one pass over the test images for f, g, all stitchers, all controls, and the moments at every cut."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from repsim.stitching import scores
from repsim.stitching.activations import Fresh, in_order
from repsim.stitching.alignment import Alignment
from repsim.stitching.asked import Cut
from repsim.stitching.engine import Engine
from repsim.stitching.evaluation import Entry, evaluate, needs
from repsim.stitching.moments import Moments, Stream
from repsim.stitching.pair import Pair, Reading
from repsim.stitching.runs import Run
from repsim.stitching.scores import Score
from repsim.stitching.starts import needs_of, stream_of


@dataclass(frozen=True)
class Outcome:
    """What a run scored on the test split; `unrounded` only where rounding changes the stitcher."""

    selected: Score
    last: Score
    unrounded: Score | None


@dataclass(frozen=True)
class Tested:
    """Scores of f (compared with g; None where it answers in other classes), of g and of the entries in their order.

    Beside them the moments of the test images at every cut.

    `ready`: each entry as it was evaluated, with batch-norm statistics of its own where it has them.
    """

    images: int
    front: Score | None
    end: Score
    scores: list[Score]
    ready: dict[Entry, Entry]
    stream: Stream
    own: dict[str, Stream]

    def moments(self, cut: Cut, key: str | None = None) -> Moments:
        """Moments of f's and g's own values at `cut`, as the stitcher `key` makes rows of them."""
        return self.own.get(key or "", self.stream).moments(cut)


def finals(run: Run) -> dict[str, Entry]:
    """What is measured of a run at its end; the same entry twice where the last epoch is the selected one."""
    whole = run.selected
    selected = whole.rounded()
    ended = run.best is None or run.selected_epoch == run.epochs_run
    found = {"selected": selected, "last": selected if ended else run.now.rounded()}
    return found | ({"unrounded": whole} if selected is not whole else {})


def outcome(found: Mapping[str, Entry], scored: Mapping[Entry, Score]) -> Outcome:
    """The scores of `finals`."""
    unrounded = found.get("unrounded")
    return Outcome(scored[found["selected"]], scored[found["last"]], None if unrounded is None else scored[unrounded])


def test(engine: Engine, entries: Sequence[Entry], cuts: Sequence[Cut], alignments: Mapping[str, tuple[Cut, Alignment]]) -> Tested:
    """Score all entries, and read f and g in full, on one pass over the test images.

    `alignments` by key: those that were trained (an added class token) make other rows than the cut itself.
    """
    pair, donors, stream = engine.pair, _Donors(engine.pair), stream_of(engine.pair, list(dict.fromkeys(cuts)))
    trained = {key: (cut, one) for key, (cut, one) in alignments.items() if cut[2].class_token == "added"}
    own = {key: Stream([cut], {cut[2]: alignment}) for key, (cut, alignment) in trained.items()}

    def visit(reading: Reading, labels: Tensor) -> None:
        donors.add(reading, labels)
        for each in (stream, *own.values()):
            each.add(reading.front, reading.end)

    scored = needs(entries, logits=True)
    at_cuts = needs_of(cuts)
    wanted = replace(scored, front=tuple(dict.fromkeys(scored.front + at_cuts.front)), end=at_cuts.end)
    ready = engine.ready(entries)
    readings = in_order(Fresh(pair, wanted), engine.feed.test())
    found = evaluate(pair, ready, readings, engine.budget, visit)
    return Tested(donors.images, *donors.scores(), found, dict(zip(entries, ready, strict=True)), stream, own)


class _Donors:
    """Sums of f's and g's own answers."""

    def __init__(self, pair: Pair):
        self._classes, self._same_task = pair.end.facts.classes, pair.same_task
        self._front: Tensor | float = 0.0
        self._end: Tensor | float = 0.0
        self.images = 0

    def add(self, reading: Reading, labels: Tensor) -> None:
        assert reading.front_logits is not None and reading.end_logits is not None
        front, end = reading.front_logits.float(), reading.end_logits.float()
        if self._same_task:
            self._front = self._front + scores.sums(front[None], labels, end)
        self._end = self._end + scores.sums(end[None], labels, None)
        self.images += len(labels)

    def scores(self) -> tuple[Score | None, Score]:
        """Of f, compared with g; and of g."""
        return self._score(self._front) if self._same_task else None, self._score(self._end)

    def _score(self, sums: Tensor | float) -> Score:
        return scores.score(torch.as_tensor(sums)[0].cpu(), self._classes)
