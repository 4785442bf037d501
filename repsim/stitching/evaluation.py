"""Owns the measuring of stitched networks: accuracy, loss, and agreement with the end network."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from repsim.stitching import packing
from repsim.stitching.batchnorm import Buffers, reestimate
from repsim.stitching.pair import Batch, Pair, Reading
from repsim.stitching.stitchers import Stitcher


@dataclass(frozen=True, eq=False)
class Entry:
    """A stitcher to be measured; `buffers` stand in for the batch-norm statistics of its suffix."""

    front_layer: str
    end_layer: str
    stitcher: Stitcher
    buffers: Buffers | None = None


@dataclass(frozen=True)
class Score:
    """Fractions of the images, and the mean cross-entropy in nats. Agreement: the same class as the reference."""

    accuracy: float
    agreement: float
    loss: float


@torch.no_grad()
def predictions(network: nn.Module, batches: Iterable[Batch]) -> tuple[Tensor, float]:
    """The classes (N,) that `network` answers, and its accuracy."""
    answers, right = [], 0
    for x, y in batches:
        answers.append(network(x.contiguous(memory_format=torch.channels_last)).argmax(-1))
        right = right + (answers[-1] == y).sum()
    classes = torch.cat(answers)
    return classes, int(right) / len(classes)


@torch.no_grad()
def evaluate(
    pair: Pair, entries: Sequence[Entry], batches: Iterable[Batch], reference: Tensor | None = None, budget: int = 128 * packing.MIB
) -> list[Score]:
    """The score of every entry, all on one reading of each batch; sums in fp64.

    `reference` (N,) are classes to agree with, in the order of the batches; without it the labels are.
    """
    parts: list[list[Entry]] = []
    rows: list[Tensor] = []
    images = 0
    for x, y in batches:
        reading = pair.read(x)
        parts = parts or _parts(pair, entries, reading, budget)
        other = y if reference is None else reference[images : images + len(y)]
        rows.append(torch.cat([_sums(_logits(pair, part, reading), y, other) for part in parts]))
        images += len(y)
    means = torch.stack(rows).cpu().double().sum(0) / images
    scores = {id(entry): Score(*row) for entry, row in zip(chain.from_iterable(parts), means.tolist(), strict=True)}
    return [scores[id(entry)] for entry in entries]


def with_statistics(pair: Pair, entries: Sequence[Entry], batches: Iterable[Batch]) -> list[Entry]:
    """The same entries with batch-norm statistics re-estimated on `batches`."""
    return [replace(entry, buffers=own) for entry, own in zip(entries, reestimate(pair, entries, batches), strict=True)]


def _parts(pair: Pair, entries: Sequence[Entry], reading: Reading, budget: int) -> list[list[Entry]]:
    """What shares a pass of a suffix; an entry with statistics of its own shares with nobody."""
    alone = [[entry] for entry in entries if entry.buffers is not None]
    return alone + packing.chunks(pair, [entry for entry in entries if entry.buffers is None], reading, budget)


def _logits(pair: Pair, part: list[Entry], reading: Reading) -> Tensor:
    """(K, n, classes)."""
    suffix, entry = pair.suffixes[part[0].end_layer], part[0]
    if entry.buffers is None:
        return packing.forward(suffix, part, reading)
    value = entry.stitcher(reading.front[entry.front_layer]).clone()
    carried = (tensor.clone() for tensor in reading.carried[entry.end_layer])
    return functional_call(suffix, entry.buffers, (value, *carried))[None]


def _sums(logits: Tensor, labels: Tensor, reference: Tensor) -> Tensor:
    """(K, 3): images classified as labelled, as the reference says, and the summed loss, of logits (K, n, classes)."""
    classes = logits.argmax(-1)
    losses = functional.cross_entropy(logits.flatten(0, 1), labels.repeat(len(logits)), reduction="none").unflatten(
        0, (len(logits), -1)
    )
    return torch.stack([(classes == labels).float().sum(-1), (classes == reference).float().sum(-1), losses.sum(-1)], -1)
