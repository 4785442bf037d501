"""Owns what each pass of a stream is fed of a batch: values and their slices, or logits and labels."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from repsim.similarity.known import KNOWN
from repsim.similarity.minibatch import MinibatchPass
from repsim.similarity.moment_pass import MomentPass
from repsim.similarity.outputs import OutputPass
from repsim.similarity.pieces import Piece
from repsim.similarity.reading import Batch, with_slices
from repsim.similarity.request import Request, Sample
from repsim.similarity.rows import RowPass
from repsim.similarity.similarity import Similarity


class Feed(Protocol):
    """One pass that takes batches as they come."""

    def add(self, batch: Batch, labels: Tensor) -> None: ...
    def results(self) -> dict[Request, Similarity]: ...


class _OfValues:
    """Feeds a pass that compares layers."""

    def __init__(self, gathers: MomentPass | MinibatchPass | RowPass, some: Sequence[Piece]):
        self._pass = gathers
        cuts = [piece.cut for piece in some if piece.cut]
        self._front, self._end = [cut[0] for cut in cuts], [cut[1] for cut in cuts]

    def add(self, batch: Batch, labels: Tensor) -> None:
        self._pass.add(with_slices(batch.front, self._front), with_slices(batch.end, self._end))

    def results(self) -> dict[Request, Similarity]:
        return self._pass.results()


class _OfOutputs:
    """Feeds the pass that compares answers."""

    def __init__(self, gathers: OutputPass):
        self._pass = gathers

    def add(self, batch: Batch, labels: Tensor) -> None:
        assert batch.front_logits is not None and batch.end_logits is not None
        self._pass.add(batch.front_logits, batch.end_logits, labels)

    def results(self) -> dict[Request, Similarity]:
        return self._pass.results()


def feeds(some: Sequence[Piece], sample: Sample, products: torch.dtype | None) -> list[Feed]:
    """What the pieces of one stream need."""
    families = (("linear", "moments"), ("minibatch",), ("rows",), ("outputs",))
    moments, minibatch, rows, outputs = (of_family(some, *names) for names in families)
    found: list[Feed] = []
    if moments:
        found.append(_OfValues(MomentPass(_asked(moments), sample, products), moments))
    if minibatch:
        found.append(_OfValues(MinibatchPass(_asked(minibatch), sample), minibatch))
    if rows:
        found.append(_OfValues(RowPass(_asked(rows), sample), rows))
    if outputs:
        found.append(_OfOutputs(OutputPass(_asked(outputs), sample)))
    return found


def of_family(some: Sequence[Piece], *families: str) -> list[Piece]:
    """The pieces whose measures are of one of these families."""
    return [piece for piece in some if KNOWN[piece.asked.measure].family in families]


def _asked(some: Sequence[Piece]) -> list[Request]:
    return list(dict.fromkeys(piece.asked for piece in some))
