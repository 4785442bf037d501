"""Owns the measures that compare what two networks answer, and their pass.

Logits are (n, classes) with labels (n,); or (n, a) with labels (n, a) of 0 and 1 for `a` attributes, each there where its
logit is above 0. Both are answers to questions (n, questions, choices): one of many choices, or `a` of two.
"""

from collections.abc import Callable, Sequence
from functools import update_wrapper
from math import log
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from repsim.errors import InputError
from repsim.similarity import bootstrap
from repsim.similarity.averages import Averages
from repsim.similarity.moments import check
from repsim.similarity.options import need_known
from repsim.similarity.products import summable
from repsim.similarity.request import Request, Sample
from repsim.similarity.similarity import Similarity, undefined

LABELS = "give the class of each image (n,), or attributes (n, a)"
Ready = Callable[[Tensor, Tensor | None], Tensor]
"""Logits and labels → what is compared of one network, (n, …)."""
Null = Callable[[Tensor, Tensor | None], float | None]
"""Means (k,), and those with every image of f beside the one before it of g → what chance gives."""


def _first(means: Tensor) -> Tensor:
    return means[..., 0]


def _shifted(_: Tensor, chance: Tensor | None) -> float | None:
    return None if chance is None else chance[0].item()


class OutputMeasure:
    """A measure made of means over images: `value` of the mean (…, k) of `numbers` (n, k) of what is `ready` of f and g."""

    __name__: str

    def __init__(
        self, numbers: Callable[[Tensor, Tensor], Tensor], ready: Ready, value: Callable, null: Null, details: Sequence[str]
    ):
        self.numbers, self.ready, self._value, self._null, self._details = numbers, ready, value, null, details
        update_wrapper(self, numbers)

    def __call__(self, x: Tensor, y: Tensor, labels: Tensor | None = None, **options: Any) -> Similarity:
        """Of logits x and y (n, ·); `labels` where the measure needs them, and for attributes. With its null.

        Raises InputError for tensors that are no such pair, where labels are missing, and for options: there are none.
        """
        need_known(self.__name__, options, ())
        _check(x, y, labels)
        averages = Averages(self.numbers, Sample(len(x)))
        averages.add(*self.made_ready(x, y, labels))
        return self.of(averages)

    def made_ready(self, x: Tensor, y: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """What is compared of the logits x and y; InputError where they have no answers in common."""
        front, end = self.ready(summable(x), labels), self.ready(summable(y), labels)
        if front.shape != end.shape:
            what = f"{self.__name__} compares answers, and outputs are {tuple(x.shape[1:])} and {tuple(y.shape[1:])}"
            raise InputError(what, where="y", do="compare networks with the same classes")
        return front, end

    def of(self, averages: Averages, draws: bool = False) -> Similarity:
        """Of all images added so far."""
        means = averages.mean()
        value = self._value(means).item()
        low, high = bootstrap.interval(self._value(averages.drawn()).tolist(), value) if draws else (None, None)
        details = dict(zip(self._details, means.tolist(), strict=False))
        found = Similarity(value, low=low, high=high, details=details)
        return found.with_null(self._null(means, averages.null()), shifted=self._null is _shifted)


def output_measure(
    ready: Ready,
    value: Callable[[Tensor], Tensor] = _first,
    null: Null = _shifted,
    details: Sequence[str] = (),
) -> Callable[[Callable[[Tensor, Tensor], Tensor]], OutputMeasure]:
    """Make a measure of a function of what is compared of f and g → (n, k); `details` name the first numbers."""
    return lambda numbers: OutputMeasure(numbers, ready, value, null, details)


def _check(x: Tensor, y: Tensor, labels: Tensor | None) -> None:
    """Raise InputError where these are not the logits of the same images and, if any, their labels."""
    check(x, y)
    for name, logits in (("x", x), ("y", y)):
        if logits.ndim != 2:
            what = f"a tensor of shape {tuple(logits.shape)} is no list of logits"
            raise InputError(what, where=name, do="give (images, classes)")
        if labels is not None and getattr(labels, "shape", None) not in (logits.shape, logits.shape[:1]):
            found = tuple(labels.shape) if isinstance(labels, Tensor) else type(labels).__name__
            raise InputError(f"{found} are no labels of logits {tuple(logits.shape)}", where="labels", do=LABELS)


def _questions(logits: Tensor, labels: Tensor | None) -> Tensor:
    """(n, questions, choices): an attribute has the choices no, of logit 0, and yes."""
    if labels is not None and labels.ndim == 2:
        return torch.stack((torch.zeros_like(logits), logits), -1)
    return logits[:, None]


def _answers(logits: Tensor, labels: Tensor | None) -> Tensor:
    """1 at the choice with the largest logit, else 0; (n, questions, choices)."""
    asked = _questions(logits, labels)
    return functional.one_hot(asked.argmax(-1), asked.shape[-1]).to(logits.dtype)


def _log_shares(logits: Tensor, labels: Tensor | None) -> Tensor:
    return _questions(logits, labels).log_softmax(-1)


def _right(logits: Tensor, labels: Tensor | None) -> Tensor:
    """The share of right answers of each image (n, 1)."""
    if labels is None:
        raise InputError("accuracies need labels", where="labels", do=LABELS)
    right = _questions(logits, labels).argmax(-1) == labels.to(logits.device).reshape(len(logits), -1)
    return right.to(logits.dtype).mean(1, keepdim=True)


def _by_chance(means: Tensor, _: Tensor | None) -> float:
    """Σ p q over all answers, by question."""
    front, end = means[1:].chunk(2)
    return ((front * end).sum() / front.sum()).item()


def _difference(means: Tensor) -> Tensor:
    return (means[..., 0] - means[..., 1]).abs()


@output_measure(_answers, null=_by_chance)
def agreement(x: Tensor, y: Tensor) -> Tensor:
    """Share of images that both networks put into the same class (of several attributes: the share of those that agree).

    A similarity in [0, 1], symmetric; nothing that keeps the order of an image's logits changes it. Null: Σ_c p_c q_c, p and q
    how often f and g answer c, the exact mean over permutations of the images. Needs the same classes (InputError otherwise).
    """
    same = (x * y).sum(-1).mean(1, keepdim=True)
    return torch.cat((same, x.flatten(1), y.flatten(1)), 1)


@output_measure(_log_shares)
def jensen_shannon(x: Tensor, y: Tensor) -> Tensor:
    """Mean over images of JSD(p, q) = H((p + q)/2) − H(p)/2 − H(q)/2 in bits, p and q the softmax outputs (Lin 1991).

    A distance in [0, 1], symmetric; adding a constant to all logits of an image changes nothing. Of attributes the mean over
    them, each a Bernoulli variable. Needs the same classes (InputError otherwise).
    """
    middle = torch.logaddexp(x, y) - log(2)
    nats = (x.exp() * (x - middle) + y.exp() * (y - middle)).sum(-1) / 2
    return (nats / log(2)).clamp(min=0).mean(1, keepdim=True)


@output_measure(_right, value=_difference, null=lambda means, chance: None, details=("front_accuracy", "end_accuracy"))
def accuracy_difference(x: Tensor, y: Tensor) -> Tensor:
    """|accuracy of f − accuracy of g|, of attributes the share of right ones. Details: front_accuracy, end_accuracy.

    A distance in [0, 1], symmetric. Needs labels (InputError otherwise). It has no null: which image of f meets which of g
    does not matter.
    """
    return torch.cat((x, y), 1)


class OutputPass:
    """Gathers output measures while images go by."""

    def __init__(self, requests: Sequence[Request], sample: Sample):
        self._sample, self._finite = sample, []
        self._averages = {request: Averages(OUTPUT_MEASURES[request.measure].numbers, sample) for request in requests}

    @torch.no_grad()
    def add(self, front_logits: Tensor, end_logits: Tensor, labels: Tensor) -> None:
        """Add one batch: logits (n, ·) of both networks, of the same images in the same order, and their labels."""
        self._finite.append(front_logits.isfinite().all() & end_logits.isfinite().all())
        for request, averages in self._averages.items():
            averages.add(*OUTPUT_MEASURES[request.measure].made_ready(front_logits, end_logits, labels))

    def results(self) -> dict[Request, Similarity]:
        """One for each request, over all images added."""
        if not all(self._finite):
            return dict.fromkeys(self._averages, undefined("outputs that are not finite"))
        draws = bool(self._sample.draws)
        return {request: OUTPUT_MEASURES[request.measure].of(averages, draws) for request, averages in self._averages.items()}


OUTPUT_MEASURES = {"agreement": agreement, "jensen_shannon": jensen_shannon, "accuracy_difference": accuracy_difference}
