"""Owns one group from its starts to its measures: match, train, choose, test, and compare at the cut."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from repsim.stitching import attacked, matching, spectrum, starts, testing
from repsim.stitching.activations import Fresh, in_order
from repsim.stitching.asked import Asked, Cut
from repsim.stitching.attacked import Attack, Attacked
from repsim.stitching.engine import Engine, Feed, Norms, Resumes
from repsim.stitching.evaluation import Entry, evaluate, needs
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
class Beside:
    """What is measured beside a stitcher where it was asked for.

    Attributes:
        attacked: what attacks leave of it.
        truncated: the score of its map cut to percents of its rank.
        elsewhere: its score on the images of another data set.
    """

    attacked: Attacked | None = None
    truncated: Mapping[int, Score] = field(default_factory=dict)
    elsewhere: Score | None = None


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
    beside: Beside = field(default_factory=Beside)

    @property
    def run(self) -> Run:
        """What was trained."""
        return self.candidate.run


@dataclass(frozen=True)
class Results:
    """Scores of f (compared with g; None across tasks) and of g on the `images` test images, and all stitchers in order."""

    front: Score | None
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
    cut_short = {want.key: spectrum.truncations(finals[want.key]["selected"]) for want in asked if _is_cut(want, finals)}
    entries = [entry for found in (*finals.values(), *cut_short.values()) for entry in found.values()]
    entries = list(dict.fromkeys([*entries, *begun.matched.values(), *begun.shuffled.values()]))
    own = {key: (cuts[key], found["selected"].stitcher.alignment) for key, found in finals.items()}
    tested = testing.test(engine, entries, list(cuts.values()), own)
    scored = dict(zip(entries, tested.scores, strict=True))
    stand, other = _attacked(engine, asked, finals, tested), _elsewhere(engine, finals, tested)
    measured = []
    for want in asked:
        shorter = {share: scored[entry] for share, entry in cut_short.get(want.key, {}).items()}
        beside = Beside(stand.get(want.key), shorter, other.get(want.key))
        measured.append(_measured(want, cuts[want.key], chosen[want.key], begun, finals, scored, tested, beside))
    return Results(tested.front, tested.end, tested.images, sum(run.epochs_run for run in runs), measured)


def _measured(
    want: Asked,
    cut: Cut,
    candidate: Candidate,
    begun: Starts,
    finals: dict[str, dict[str, Entry]],
    scored: dict[Entry, Score],
    tested: Tested,
    beside: Beside,
) -> Measured:
    controls = [None, None]
    if want.controls:
        key = starts.control_key(want, candidate.family, cut)
        controls = [_control(found.get(key), scored, tested.moments(cut)) for found in (begun.matched, begun.shuffled)]
    outcome = testing.outcome(finals[want.key], scored) if want.key in finals else None
    return Measured(want, candidate, tested.moments(cut, want.key), outcome, controls[0], controls[1], beside)


def _is_cut(want: Asked, finals: dict[str, dict[str, Entry]]) -> bool:
    return want.truncations and want.key in finals


def _elsewhere(engine: Engine, finals: dict[str, dict[str, Entry]], tested: Tested) -> dict[str, Score]:
    """By key, the score of the selected epoch on the images of another data set, where there is one."""
    if engine.feed.elsewhere is None:
        return {}
    entries = [tested.ready[found["selected"]] for found in finals.values()]
    readings = in_order(Fresh(engine.pair, needs(entries)), engine.feed.elsewhere())
    return dict(zip(finals, evaluate(engine.pair, entries, readings, engine.budget), strict=True))


def _attacked(engine: Engine, asked: Sequence[Asked], finals: dict[str, dict[str, Entry]], tested: Tested) -> dict[str, Attacked]:
    """What attacks leave, by key, of those that ask for it and did not diverge."""
    by_images: dict[int | None, dict[str, tuple[Entry, Attack]]] = {}
    for want in asked:
        if want.attack is not None and want.key in finals:
            entry = tested.ready[finals[want.key]["selected"]]
            by_images.setdefault(want.attack.images, {})[want.key] = entry, want.attack
    found: dict[str, Attacked] = {}
    for images, entries in by_images.items():
        assert engine.feed.attacked is not None, "there are no images to attack"
        found |= attacked.measure(engine.pair, entries, engine.feed.attacked(images), engine.feed.tick)
    return found


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
