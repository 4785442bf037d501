"""Owns how the fields of comparisons become one comparison of two networks, and its numbers columns."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from repsim.data import altered, images
from repsim.data.images import Images
from repsim.models import checkpoint
from repsim.models.network import Network
from repsim.similarity import convention, engine, memory, rules
from repsim.similarity import sample as samples
from repsim.similarity.engine import Comparison
from repsim.similarity.known import KNOWN
from repsim.similarity.reading import Pair
from repsim.similarity.request import Request
from repsim.similarity.room import BATCH
from repsim.stitching import controls


def compared(configs: Sequence[Any], context: Any) -> tuple[Comparison, list[Request]]:
    """The comparison that all configs of a group ask for, and the request of each. `context` is that of the job."""
    shared = configs[0]
    front, end = networks(shared, context.artefacts, context.device)
    stream = _stream(shared, context)
    pair = Pair(front, end, _stand_in(shared, front, stream))
    shapes = pair.shapes([c.front_layer for c in configs], [c.end_layer for c in configs])
    requests = [rules.request(c, shapes[0][c.front_layer], shapes[1][c.end_layer]) for c in configs]
    budget, sample = memory.budget(context.device, context.beside), rules.sample(shared, len(stream))
    return engine.compare(pair, stream, requests, sample, budget, context.tick), requests


def networks(c: Any, artefacts: Path, device: str) -> tuple[Network, Network]:
    """f and g on the device; one and the same object where they are one network after one epoch."""
    front = checkpoint.of_run(artefacts / c.front_network, c.front_epoch, "front_epoch").to(device)
    if (c.front_network, c.front_epoch) == (c.end_network, c.end_epoch):
        return front, front
    return front, checkpoint.of_run(artefacts / c.end_network, c.end_epoch, "end_epoch").to(device)


def columns(comparison: Comparison, asked: Request) -> dict[str, Any]:
    """What the row of one number says beside its id and its seconds."""
    found, plan = comparison.found[asked], comparison.plan
    return {
        "value": found.value,
        "status": found.status,
        "null": found.null,
        "null_kind": found.null_kind,
        "low": found.low,
        "high": found.high,
        "images": plan.images,
        "rows": plan.images * plan.rows[asked],
        "view": asked.view,
        "scale": KNOWN[asked.measure].scale,
        "form": plan.forms[asked],
        "convention": convention.key(asked, plan.images, comparison.sample),
        "sample": comparison.sample,
        "details": ", ".join(f"{name}={value:.6g}" for name, value in found.details.items()),
        "front_accuracy": comparison.front_accuracy,
        "end_accuracy": comparison.end_accuracy,
    }


def _stand_in(c: Any, front: Network, stream: Images) -> controls.StandIn | None:
    """What the negative control of Config `c` puts into the place of f's values."""
    return controls.stand_in(c.control, c.control_seed, front, [stream]) if c.control else None


def _stream(c: Any, context: Any) -> Images:
    """The images in their order; a dry run takes a few."""
    whole = images.load(c.dataset, c.split, context.data_folders, context.cache, context.device)
    stream = altered.cued(samples.stream(whole, c.images, c.image_seed), c.shortcut)
    return stream if context.steps is None else stream.subset(torch.arange(min(len(stream), context.steps * BATCH)))
