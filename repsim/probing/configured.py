"""Owns what the fields of probes mean to the engine: its network, its images, its probes, and the columns of a row."""

import math
from collections.abc import Sequence
from typing import Any

from repsim.data.splits import Splits, divide
from repsim.models import checkpoint
from repsim.probing import group, rules
from repsim.probing.asked import Asked, Probed, Results
from repsim.probing.rows import Eye, Site
from repsim.stitching import feeding
from repsim.stitching.runs import Training


def probed(configs: Sequence[Any], context: Any) -> tuple[Results, Splits]:
    """All probes of a group, and the images that they were fitted to and scored on. `context` is that of the job."""
    c = configs[0]
    network = checkpoint.of_run(context.artefacts / c.network, c.epoch, "epoch").to(context.device)
    splits = divided(c, context)
    shapes = Eye(network, [one.layer for one in configs]).shapes
    asked = [_asked(one, context.run_id(one), rules.view_of(one.view, shapes[one.layer])) for one in configs]
    expected = feeding.expected_batches(splits, c.batch_size, max(one.epochs if one.fit == "sgd" else 0 for one in configs))
    progress = feeding.Progress(context.tick, expected, context.steps)
    order = feeding.ordering(splits, c.batch_size, c.data_seed, progress)
    return group.measure(network, splits, feeding.feed(splits, c.batch_size, "none", order, progress), asked), splits


def divided(c: Any, context: Any) -> Splits:
    """The images of a group on the device."""
    places = context.data_folders, context.cache, context.device
    return divide(c.dataset, *places, train=c.train_images, match=None, validation=c.validation_images, test=c.test_images)


def columns(each: Probed, results: Results, splits: Splits) -> dict[str, Any]:
    """What the row of one probe says beside its id and its seconds."""
    return {
        "outcome": "diverged" if each.score is None else "ok",
        **_scores(each),
        "validation_accuracy": each.validation,
        "null_accuracy": each.null and each.null.accuracy,
        "majority_accuracy": results.majority,
        "network_accuracy": results.network,
        "used_ridge": each.ridge,
        "used_view": each.asked.site.view,
        "explained": each.explained,
        "row_values": each.width,
        "train_loss": None if each.train_loss is None or not math.isfinite(each.train_loss) else each.train_loss,
        "train_images": len(splits.train),
        "validation_images": 0 if splits.validation is None else len(splits.validation),
        "test_images": results.images,
    }


def _scores(each: Probed) -> dict[str, Any]:
    return {} if each.score is None else each.score._asdict()


def _asked(c: Any, key: str, view: str) -> Asked:
    if c.fit == "ridge":
        return Asked(key, Site(c.layer, view), c.rank, c.ridge)
    training = Training(c.epochs, c.optimizer, c.lr, c.weight_decay, c.momentum, c.schedule)
    return Asked(key, Site(c.layer, view), c.rank, training=training, seed=c.probe_seed)
