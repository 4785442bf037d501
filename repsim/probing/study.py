"""Owns one group of such a study: detectors of g fitted once, then all stitchers of each f trained and judged."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from operator import attrgetter
from time import perf_counter
from typing import Any

from repsim.data import images
from repsim.data.batches import ordered
from repsim.data.images import Images
from repsim.probing import ood_rules, outliers, verdicts
from repsim.probing.detectors import GAUSSIAN, Ground, School, Wanted, fit
from repsim.probing.energy import Margins
from repsim.probing.ood_fields import Classifier, Detector, FineTuning
from repsim.probing.schooling import Lessons
from repsim.probing.verdicts import Known
from repsim.stitching import columns, configured, feeding
from repsim.stitching.feeding import SCORED_AT_ONCE, Progress
from repsim.stitching.group import Measured, Results, measure
from repsim.stitching.pair import Pair
from repsim.stitching.resume import Resume

FRONT = attrgetter("front_network", "front_epoch", "control", "control_seed")
DETECTOR = (*Detector.model_fields, *Classifier.model_fields, *FineTuning.model_fields)


@dataclass(frozen=True)
class Judged:
    """One run: its stitcher, and the numbers of stitcher and detector by their column."""

    config: Any
    each: Measured
    columns: Mapping[str, Any]


def stitch_of(c: Any) -> tuple[Any, ...]:
    """What of a Config decides its stitcher: runs with equal ones share it."""
    return tuple(getattr(c, name) for name in type(c).model_fields if name not in DETECTOR)


def wanted(c: Any) -> Wanted:
    """The detector that a Config asks for."""
    if c.detector in GAUSSIAN:
        return Wanted(c.end_layer, c.detector, shrinkage=c.shrinkage)
    margins = Margins(c.margin_in, c.margin_out, c.energy_weight)
    tuning = c.finetune_epochs, c.classifier_batch_size, c.classifier_lr, c.classifier_weight_decay, margins
    lessons = Lessons(c.classifier_epochs, *tuning, c.detector_seed)
    school = School(c.classifier, c.classifier_width, lessons, ood_rules.names_of(c.outliers), c.outlier_images, c.inliers)
    return Wanted(c.end_layer, c.detector, school)


class Study:
    """The runs of one g; `context` is that of the job."""

    def __init__(self, configs: Sequence[Any], context: Any):
        self._configs, self._context = configs, context
        self._splits = configured.splits(configs[0], context)
        self._progress = Progress(context.tick, self._expected(), context.steps)

    def run(self) -> Iterator[Judged]:
        """Every run of the group, one f (or what stands in for it) after the other."""
        known: Known | None = None
        begun = perf_counter()
        for front in self._fronts():
            members = [c for c in self._configs if FRONT(c) == front]
            pair = configured.pair(members, self._context.artefacts, self._context.device)
            configured.control_(pair, members[0], self._splits)
            feeding.check_fit(pair, self._splits)
            known = known or self._known(pair)
            found = list(self._judged(pair, members, known))
            seconds, begun = perf_counter() - begun, perf_counter()
            yield from (self._timed(one, len(members), seconds) for one in found)

    def _fronts(self) -> list[Any]:
        return list(dict.fromkeys(map(FRONT, self._configs)))

    def _timed(self, one: Judged, runs: int, seconds: float) -> Judged:
        """The same with its share of the time of its pair (the first: with that of the detectors), and how many images it saw."""
        splits, images = self._splits, self._splits.train
        cost = {
            "train_images": len(images),
            "validation_images": 0 if splits.validation is None else len(splits.validation),
            "test_images": len(splits.test),
            "seconds": seconds / runs,
            "images_per_second": one.each.run.epochs_run * len(images) / seconds,
        }
        return replace(one, columns={**one.columns, **cost})

    def _known(self, pair: Pair) -> Known:
        """The detectors of g at every end layer of the group, and what they say of its own activations."""
        layers = [c.end_layer for c in self._configs]
        end = Pair(pair.end, pair.end, [], layers)
        ground = Ground(end, self._splits.train, self._strange, self._inliers, self._progress.over)
        fitted = fit(ground, map(wanted, self._configs))
        sanity = self._sanity()
        strange = None if sanity is None else verdicts.own(end, fitted, self._over("checking", sanity))
        return Known(fitted, verdicts.own(end, fitted, self._over("judging", self._splits.test)), strange)

    def _judged(self, pair: Pair, members: Sequence[Any], known: Known) -> Iterator[Judged]:
        results, of = self._stitched(pair, members)
        judged = {c: verdicts.entries(of[stitch_of(c)]) for c in members}
        asked: dict[Any, dict[Wanted, None]] = {}
        for c, found in judged.items():
            for entry in found.values():
                asked.setdefault(entry, {})[wanted(c)] = None
        looks = verdicts.stitched(
            pair, {entry: tuple(ones) for entry, ones in asked.items()}, known.fitted, self._over("judging", self._splits.test)
        )
        for c in members:
            each, one = of[stitch_of(c)], wanted(c)
            said = verdicts.columns(one, known, {name: looks[entry, one] for name, entry in judged[c].items()})
            yield Judged(c, each, {**columns.columns(each, results), **said})

    def _stitched(self, pair: Pair, members: Sequence[Any]) -> tuple[Results, dict[tuple[Any, ...], Measured]]:
        """All stitchers of one pair, each once, however many detectors judge it."""
        shared, context = members[0], self._context
        distinct = {stitch_of(c): c for c in reversed(members)}
        asked = [configured.asked(c, context.run_id(c)) for c in distinct.values()]
        order = feeding.ordering(self._splits, shared.batch_size, shared.data_seed, self._progress)
        feed = feeding.feed(self._splits, shared.batch_size, shared.augment, order, self._progress)
        keys = sorted(want.key for want in asked)
        resume = Resume(context.artefacts / keys[0] / "resume.pt", [want.key for want in asked], order)
        results = measure(pair, feed, asked, shared.batchnorm, resume=None if context.steps else resume)
        resume.remove()
        return results, dict(zip(distinct, results.measured, strict=True))

    def _strange(self, school: School) -> Images:
        count = school.count or len(self._splits.train)
        return outliers.gather(school.outliers, "train", self._splits.train, count, *self._places())

    def _sanity(self) -> Images | None:
        name, test = self._configs[0].sanity, self._splits.test
        return None if name is None else outliers.gather([name], "test", test, len(test), *self._places())

    def _inliers(self, name: str) -> Images:
        return images.load(name, "train", *self._places(), self._context.device)

    def _places(self) -> tuple[Any, Any]:
        return self._context.data_folders, self._context.cache

    def _over(self, text: str, found: Images) -> verdicts.Feed:
        return self._progress.over(text, partial(ordered, found, SCORED_AT_ONCE))

    def _expected(self) -> int:
        """About how many batches the group reads."""
        images, configs = len(self._splits.train), self._configs
        schools = {one.school for one in map(wanted, configs) if one.school}
        layers = len({c.end_layer for c in configs})
        taught = sum((s.lessons.epochs + 2 * s.lessons.finetune_epochs) * ceil(images / s.lessons.batch_size) for s in schools)
        one = feeding.expected_batches(self._splits, configs[0].batch_size, max(c.epochs for c in configs))
        read = ceil(len(self._splits.test) / SCORED_AT_ONCE)
        return layers * (taught + ceil(images / SCORED_AT_ONCE)) + len(self._fronts()) * (one + read) + 2 * read
