"""Owns one group from its starts to its measures: match, train, choose, test, and compare at the cut."""

from collections.abc import Sequence
from dataclasses import dataclass

from repsim.stitching import matching, starts, testing
from repsim.stitching.asked import Asked, Cut
from repsim.stitching.engine import Engine, Feed, Norms, Resumes
from repsim.stitching.evaluation import Entry
from repsim.stitching.moments import Moments
from repsim.stitching.pair import Pair
from repsim.stitching.runs import Run
from repsim.stitching.scores import Score
from repsim.stitching.starts import Candidate, Starts
from repsim.stitching.testing import Outcome, Tested


@dataclass(frozen=True)
class Control:
    """What a direct-matching optimum scored; see `matching.residual`. `entry` is the optimum itself."""

    score: Score
    residual: float
    entry: Entry


@dataclass(frozen=True)
class Measured:
    """What came of one stitcher; `outcome` is None where it diverged.

    `candidate` is what was trained, or the one of several that the validation images chose. `moments` are those of the
    test images at its cut. The controls are those of its family: the direct-matching optimum, and that of shuffled
    pairs; None where they were not asked for or not found.
    """

    asked: Asked
    candidate: Candidate
    moments: Moments
    outcome: Outcome | None
    matched: Control | None
    shuffled: Control | None

    @property
    def run(self) -> Run:
        """What was trained."""
        return self.candidate.run


@dataclass(frozen=True)
class Results:
    """Scores of f (compared with g) and of g on the `images` test images, and every stitcher in the order asked."""

    front: Score
    end: Score
    images: int
    epochs_run: int
    measured: list[Measured]


def measure(
    pair: Pair,
    feed: Feed,
    asked: Sequence[Asked],
    norms: Norms = "frozen",
    budget: int | None = None,
    resume: Resumes | None = None,
) -> Results:
    """Do all stitchers of one pair of networks on shared passes; their training goes on from where `resume` has it.

    Raises InputError for layers that cannot be joined, before any pass over the images.
    """
    begun = starts.begin(pair, asked, feed.matching)
    engine = Engine(pair, feed, norms, budget)
    runs = [candidate.run for candidates in begun.candidates.values() for candidate in candidates]
    engine.train(runs, resume)
    chosen = {key: _best(candidates) for key, candidates in begun.candidates.items()}
    cuts = {want.key: want.cut(pair.front_shapes, pair.end_shapes) for want in asked}
    finals = {key: testing.finals(one.run) for key, one in chosen.items() if not one.run.diverged}
    entries = [entry for found in finals.values() for entry in found.values()]
    entries = list(dict.fromkeys([*entries, *begun.matched.values(), *begun.shuffled.values()]))
    own = {key: (cuts[key], found["selected"].stitcher.alignment) for key, found in finals.items()}
    tested = testing.test(engine, entries, list(cuts.values()), own)
    scored = dict(zip(entries, tested.scores, strict=True))
    measured = [_measured(want, cuts[want.key], chosen[want.key], begun, finals, scored, tested) for want in asked]
    return Results(tested.front, tested.end, tested.images, sum(run.epochs_run for run in runs), measured)


def _measured(
    want: Asked,
    cut: Cut,
    candidate: Candidate,
    begun: Starts,
    finals: dict[str, dict[str, Entry]],
    scored: dict[Entry, Score],
    tested: Tested,
) -> Measured:
    controls = [None, None]
    if want.controls:
        key = starts.control_key(want, candidate.family, cut)
        controls = [_control(found.get(key), scored, tested.moments(cut)) for found in (begun.matched, begun.shuffled)]
    outcome = testing.outcome(finals[want.key], scored) if want.key in finals else None
    return Measured(want, candidate, tested.moments(cut, want.key), outcome, *controls)


def _best(candidates: list[Candidate]) -> Candidate:
    """The one that the validation images prefer; the first where nothing tells them apart."""
    best = candidates[0]
    for one in candidates[1:]:
        run, leader = one.run, best.run
        if not run.diverged and (leader.diverged or (run.judged and leader.judged and run.judged.better_than(leader.judged))):
            best = one
    return best


def _control(entry: Entry | None, scored: dict[Entry, Score], moments: Moments) -> Control | None:
    return None if entry is None else Control(scored[entry], matching.residual(moments, entry.stitcher.applied()), entry)
