"""Owns one group from its starts to its measures: match, train, choose, test, and compare at the cut."""

from collections.abc import Sequence
from dataclasses import dataclass

from repsim.stitching import matching, starts, testing
from repsim.stitching.asked import Asked, Cut
from repsim.stitching.engine import Engine, Feed, Norms
from repsim.stitching.evaluation import Entry
from repsim.stitching.moments import Moments
from repsim.stitching.pair import Pair
from repsim.stitching.runs import Run
from repsim.stitching.scores import Score
from repsim.stitching.stitchers import Affine
from repsim.stitching.testing import Outcome


@dataclass(frozen=True)
class Control:
    """What a direct-matching optimum scored; see `matching.residual`."""

    score: Score
    residual: float


@dataclass(frozen=True)
class Measured:
    """What came of one stitcher; `outcome` is None where it diverged.

    `start` is the map it began with, `moments` are those of the test images at its cut. The controls are those of its
    family: the direct-matching optimum, and that of shuffled pairs; None where they were not asked for.
    """

    asked: Asked
    run: Run
    start: Affine
    moments: Moments
    outcome: Outcome | None
    matched: Control | None
    shuffled: Control | None


@dataclass(frozen=True)
class Results:
    """Scores of f (compared with g) and of g on the `images` test images, and every stitcher in the order asked."""

    front: Score
    end: Score
    images: int
    epochs_run: int
    measured: list[Measured]


def measure(pair: Pair, feed: Feed, asked: Sequence[Asked], norms: Norms = "frozen", budget: int | None = None) -> Results:
    """Do all stitchers of one pair of networks on shared passes.

    Raises InputError for layers that cannot be joined, before any pass over the images.
    """
    begun = starts.begin(pair, asked, feed.matching)
    engine = Engine(pair, feed, norms, budget)
    runs = [run for want in asked for run in begun.runs[want.key]]
    engine.train(runs)
    chosen = {want.key: _best(begun.runs[want.key]) for want in asked}
    cuts = {want.key: want.cut(pair.front_shapes, pair.end_shapes) for want in asked}
    finals = {key: testing.finals(run) for key, run in chosen.items() if not run.diverged}
    entries = [entry for found in finals.values() for entry in found.values()]
    entries = list(dict.fromkeys([*entries, *begun.matched.values(), *begun.shuffled.values()]))
    tested = testing.test(engine, entries, list(cuts.values()))
    scored = dict(zip(entries, tested.scores, strict=True))
    measured = []
    for want in asked:
        run, cut = chosen[want.key], cuts[want.key]
        moments = tested.moments(cut)
        measured.append(
            Measured(
                asked=want,
                run=run,
                start=begun.affines[want.key][begun.runs[want.key].index(run)],
                moments=moments,
                outcome=None if run.diverged else testing.outcome(finals[want.key], scored),
                matched=_control(begun.matched, want, cut, scored, moments),
                shuffled=_control(begun.shuffled, want, cut, scored, moments),
            )
        )
    return Results(tested.front, tested.end, tested.images, sum(run.epochs_run for run in runs), measured)


def _best(candidates: list[Run]) -> Run:
    """The candidate that the validation images prefer; the first where nothing tells them apart."""
    best = candidates[0]
    for run in candidates[1:]:
        if best.diverged or (run.judged and best.judged and not run.diverged and run.judged.better_than(best.judged)):
            best = run
    return best


def _control(
    entries: dict[starts.Control, Entry], want: Asked, cut: Cut, scored: dict[Entry, Score], moments: Moments
) -> Control | None:
    entry = entries.get(starts.control_key(want, cut)) if want.controls else None
    return None if entry is None else Control(scored[entry], matching.residual(moments, entry.stitcher.applied()))
