"""Owns what comparisons are tested on: two small networks that know the digits a little, some images of them, requests."""

from pathlib import Path

import torch

from repsim import job as jobs
from repsim.data import batches, images
from repsim.data.images import Images
from repsim.models.network import Facts, Network
from repsim.models.zoo import build
from repsim.similarity import sample
from repsim.similarity.known import KNOWN
from repsim.similarity.request import Request, Value

JOB = jobs.load(Path(__file__).parents[2] / "jobs", "compare")
FACTS = Facts("mcnn", 4, 10, 1, 8)
ONE_OF_EACH = ("cka", "procrustes", "cka_rbf", "rsa", "l2", "wreath_cka")
"""Measures of every family and kind of pass, but of outputs."""


def digits(cache, count: int = 150, seed: int = 0) -> Images:
    """Test images of the digits in the order of a comparison."""
    return sample.stream(images.load("digits", "test", (), cache), count, seed)


def trained(cache, seed: int, facts: Facts = FACTS) -> Network:
    """A network after two passes over the digits, in eval mode."""
    network = build(facts, (0.3,), (0.4,), torch.Generator().manual_seed(seed)).train()
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for x, y in [*batches.ordered(images.load("digits", "train", (), cache), 100)] * 2:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(x), y).backward()
        optimizer.step()
    return network.eval()


def asked(measure: str, front: str, end: str, view: str | None = None, front_rank: int | None = None, end_rank: int | None = None):
    """The request of a measure with the options that the job gives it where nothing is said, but small batches."""
    said = {name: field.default for name, field in JOB.config.model_fields.items()}
    said["batch"] = 32
    options = tuple(sorted((name, said[name]) for name in KNOWN[measure].options))
    return Request(measure, Value(front, front_rank), Value(end, end_rank), view or KNOWN[measure].view, None, options)
