"""Owns what the first pass over the images finds out beside the measures: which images, how good both networks are."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from repsim.similarity.reading import Batch
from repsim.similarity.request import Value
from repsim.similarity.sample import Fingerprint, as_bytes

ROOM = 1e-4  # of the largest number that can be squared: 10⁸ squares have a sum


class Witness:
    """Sees every batch once, in order."""

    def __init__(self, front: Iterable[Value], end: Iterable[Value]):
        """`front`, `end`: values of f and of g that must be known to be finite before they are compared."""
        self._values = list(front), list(end)
        self._print = Fingerprint()
        self._right: list[Tensor] = []  # of f and of g in each batch, (2,)
        self._answers = 0
        self._finite: dict[tuple[str, Value], Tensor] = {}

    def add(self, x: Tensor, labels: Tensor, batch: Batch) -> None:
        """Add images x (n, c, h, w) in [0, 1], labels (n,) or (n, attributes), and what the networks made of them."""
        assert batch.front_logits is not None and batch.end_logits is not None
        self._print.add(as_bytes(x), labels)
        self._right.append(torch.stack([_right(logits, labels).sum() for logits in (batch.front_logits, batch.end_logits)]))
        self._answers += labels.numel()
        self._note("front", {value: batch.front[value] for value in self._values[0]})
        self._note("end", {value: batch.end[value] for value in self._values[1]})

    def sample(self) -> str:
        """The hash of all images and labels."""
        return self._print.digest()

    def accuracies(self) -> tuple[float, float]:
        """The share of the answers that are right, of f and of g."""
        front, end = (torch.stack(self._right).sum(0).double() / self._answers).tolist()
        return front, end

    def finite(self, side: str, value: Value) -> bool:
        """Whether all of a value's numbers are finite, and sums of their squares."""
        return bool(self._finite[side, value])

    def _note(self, side: str, values: Mapping[Value, Tensor]) -> None:
        for value, activation in values.items():
            ends = torch.stack(activation.aminmax())  # one look at each number, and nothing is made
            largest = torch.finfo(torch.promote_types(ends.dtype, torch.float32)).max
            finite = (ends.abs() <= ROOM * largest**0.5).all()  # of NaN never
            self._finite[side, value] = finite & self._finite.get((side, value), finite)


def _right(logits: Tensor, labels: Tensor) -> Tensor:
    return logits.argmax(1) == labels if labels.dim() == 1 else (logits > 0) == labels.bool()
