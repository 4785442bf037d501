"""Owns judging two layers by stitching, probing and similarity at once, the front layer replaced by its best rank-r approximation.

All ways see the same training, validation and test images. Stitchers and probes take the principal components of the front layer
from the training images, similarities from the test images that they compare; each is one fixed subspace.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from repsim.data.splits import Splits, divide
from repsim.models import checkpoint
from repsim.probing import asked as probes
from repsim.probing import group as probing
from repsim.probing import methods, rules
from repsim.probing.asked import Asked as Probe
from repsim.probing.asked import Probed
from repsim.probing.rows import Eye, Site
from repsim.similarity import configured as comparing
from repsim.similarity import engine, memory, reading, sample
from repsim.similarity.request import Request, Sample
from repsim.similarity.room import BATCH
from repsim.similarity.similarity import OK, SHIFTED
from repsim.stitching import feeding, group
from repsim.stitching.asked import Asked, Family
from repsim.stitching.columns import columns
from repsim.stitching.engine import Feed
from repsim.stitching.feeding import ORDER
from repsim.stitching.group import Measured, Results
from repsim.stitching.pair import Pair
from repsim.stitching.resume import Resume
from repsim.stitching.runs import Training

Columns = dict[str, Any]


class Judging:
    """One pair of networks, all of whose layers, ranks and ways are judged on the same images. `context` is that of the job."""

    def __init__(self, configs: Sequence[Any], context: Any):
        self._configs, self._context, c = configs, context, configs[0]
        places = context.data_folders, context.cache, context.device
        wanted = {"train": c.train_images, "match": c.match_images, "validation": c.validation_images, "test": c.test_images}
        self._splits = divide(c.dataset, *places, **wanted)
        self._front = checkpoint.of_run(context.artefacts / c.front_network).to(context.device)
        alone = c.front_network == c.end_network
        self._end = self._front if alone else checkpoint.of_run(context.artefacts / c.end_network).to(context.device)

    def columns(self) -> Mapping[Any, Columns]:
        """By config what its row says beside its id and its seconds."""
        found: dict[Any, Columns] = {}
        for judge, names in (
            (self._stitched, methods.STITCHED),
            (self._probed, (methods.PROBE,)),
            (self._compared, methods.MEASURES),
        ):
            some = [c for c in self._configs if c.measure in names]
            if some:
                found |= dict(zip(some, judge(some), strict=True))
        validation = 0 if self._splits.validation is None else len(self._splits.validation)
        same = {"train_images": len(self._splits.train), "validation_images": validation}
        return {c: {**same, "scale": methods.scale_of(c.measure), **own} for c, own in found.items()}

    def _feed(self, splits: Splits, epochs: int = 0) -> tuple[Feed, feeding.Order]:
        c = self._configs[0]
        expected = feeding.expected_batches(splits, c.batch_size, epochs)
        progress = feeding.Progress(self._context.tick, expected, self._context.steps)
        order = feeding.ordering(splits, c.batch_size, c.data_seed, progress)
        return feeding.feed(splits, c.batch_size, "none", order, progress), order

    def _stitched(self, some: Sequence[Any]) -> list[Columns]:
        pair = Pair(self._front, self._end, [c.front_layer for c in some], [c.end_layer for c in some])
        feeding.check_fit(pair, self._splits)
        asked = [_stitch(c, self._context.run_id(c), pair) for c in some]
        feed, order = self._feed(self._splits, max(one.training.epochs for one in asked))
        keys = sorted(one.key for one in asked)
        resume = Resume(self._context.artefacts / keys[0] / "resume.pt", [one.key for one in asked], order)
        results = group.measure(pair, feed, asked, resume=None if self._context.steps else resume)
        resume.remove()
        return [_of_stitch(each, results) for each in results.measured]

    def _probed(self, some: Sequence[Any]) -> list[Columns]:
        shapes = Eye(self._front, [c.front_layer for c in some]).shapes
        views = [rules.view_of(c.view, shapes[c.front_layer]) for c in some]
        keys = map(self._context.run_id, some)
        asked = [Probe(key, Site(c.front_layer, view), c.rank) for key, c, view in zip(keys, some, views, strict=True)]
        whole = replace(self._splits, match=self._splits.train)
        results = probing.measure(self._front, whole, self._feed(whole)[0], asked)
        return [_of_probe(each, results) for each in results.probed]

    def _compared(self, some: Sequence[Any]) -> list[Columns]:
        pair, few = reading.Pair(self._front, self._end), self._context.steps
        images = sample.stream(self._splits.test, None if few is None else min(len(self._splits.test), few * BATCH), ORDER)
        front, end = pair.shapes([c.front_layer for c in some], [c.end_layer for c in some])
        requests = [methods.request(c, front[c.front_layer], end[c.end_layer]) for c in some]
        budget = memory.budget(self._context.device, self._context.beside)
        found = engine.compare(pair, images, requests, Sample(len(images), seed=ORDER), budget, self._context.tick)
        return [_of_similarity(found, request) for request in requests]


def _stitch(c: Any, key: str, pair: Pair) -> Asked:
    """The linear stitcher that Config `c` means, trained on the task or at its least squares."""
    joint = methods.joint(c, pair.front_shapes[c.front_layer], pair.end_shapes[c.end_layer])
    family = Family("linear", joint=tuple(joint.items()), stitch_rank=c.rank)
    if c.measure == methods.MATCHED:
        return Asked(key, c.front_layer, c.end_layer, family, "matched", select="validation", controls=True)
    training = Training(c.epochs, "adam", c.lr, c.weight_decay)
    return Asked(key, c.front_layer, c.end_layer, family, c.init, c.seed, training, "validation")


def _of_stitch(each: Measured, results: Results) -> Columns:
    said = columns(each, results)
    null = said.get("null_accuracy")
    return {
        "outcome": "diverged" if each.run.diverged else "ok",
        "status": "the training diverged" if each.run.diverged else OK,
        "value": said.get("accuracy"),
        "null": null,
        "null_kind": None if null is None else SHIFTED,
        "residual": said.get("residual"),
        "selected_epoch": said["selected_epoch"],
        "front_accuracy": said["front_accuracy"],
        "end_accuracy": said["end_accuracy"],
        "images": results.images,
        "view": "channel",
        "convention": "test accuracy of the stitched network; linear with bias",
    }


def _of_probe(each: Probed, results: probes.Results) -> Columns:
    assert each.score is not None and each.null is not None, "a closed form does not diverge"
    return {
        "status": OK,
        "value": each.score.accuracy,
        "null": each.null.accuracy,
        "null_kind": SHIFTED,
        "explained": each.explained,
        "front_accuracy": results.network,
        "images": results.images,
        "view": each.asked.site.view,
        "convention": f"test accuracy of ridge on one-hot labels; rows {each.asked.site.view}",
    }


def _of_similarity(found: engine.Comparison, asked: Request) -> Columns:
    said = comparing.columns(found, asked)
    names = ("status", "value", "null", "null_kind", "images", "view", "convention", "front_accuracy", "end_accuracy")
    return {name: said[name] for name in names}
