"""Owns what detectors say: of native activations and of strange ones once per layer of g, of stitched ones pair by pair."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from repsim.probing.detection import detect, halves
from repsim.probing.detectors import Fitted, Wanted
from repsim.stitching.evaluation import Entry
from repsim.stitching.group import Measured
from repsim.stitching.pair import Batch, Needs, Pair

Feed = Callable[[], Iterable[Batch]]


@dataclass(frozen=True)
class Look:
    """Scores (n,) fp64 of the activations of n images, and the share of them that the detector puts into the right class."""

    scores: Tensor
    accuracy: float

    def mean(self) -> float | None:
        """Of the scores; None where it is not finite."""
        mean = float(self.scores.mean())
        return mean if abs(mean) < float("inf") else None


@dataclass(frozen=True)
class Known:
    """The detectors of a layer of g, and what they say of its own activations: of test images, and of strange ones (None: none)."""

    fitted: Mapping[Wanted, Fitted]
    native: Mapping[Wanted, Look]
    strange: Mapping[Wanted, Look] | None


@torch.no_grad()
def own(pair: Pair, fitted: Mapping[Wanted, Fitted], batches: Feed) -> dict[Wanted, Look]:
    """What each detector says of g's own activations, on one pass over the images."""
    layers = tuple(dict.fromkeys(one.layer for one in fitted))
    read, gathered = pair.reader(Needs(end=layers, carried=layers)), _Gathered()
    for x, labels in batches():
        reading = read(x)
        for one, each in fitted.items():
            gathered.add(one, *each.detector.look(reading.end[one.layer], reading.carried.get(one.layer, ())), labels)
    return gathered.looks()


@torch.no_grad()
def stitched(
    pair: Pair, asked: Mapping[Entry, Sequence[Wanted]], fitted: Mapping[Wanted, Fitted], batches: Feed
) -> dict[tuple[Entry, Wanted], Look]:
    """What the detectors asked of each stitcher say of its activations: all on one pass of f over the images."""
    fronts = tuple(dict.fromkeys(entry.front_layer for entry in asked))
    ends = tuple(dict.fromkeys(entry.end_layer for entry in asked))
    read, gathered = pair.reader(Needs(front=fronts, carried=ends)), _Gathered()
    for x, labels in batches():
        reading = read(x)
        for entry, wanted in asked.items():
            value = entry.stitcher(reading.front[entry.front_layer])
            for one in wanted:
                look = fitted[one].detector.look(value, reading.carried.get(entry.end_layer, ()))
                gathered.add((entry, one), *look, labels)
    return gathered.looks()


class _Gathered:
    """Scores and right answers, batch by batch; they leave the device once, at the end."""

    def __init__(self) -> None:
        self._scores: dict[Any, list[Tensor]] = {}
        self._right: dict[Any, list[Tensor]] = {}

    def add(self, key: Any, scores: Tensor, classes: Tensor, labels: Tensor) -> None:
        self._scores.setdefault(key, []).append(scores)
        self._right.setdefault(key, []).append(classes.to(labels.device) == labels)

    def looks(self) -> dict[Any, Look]:
        return {
            key: Look(torch.cat(parts).cpu().double(), float(torch.cat(self._right[key]).double().mean()))
            for key, parts in self._scores.items()
        }


def entries(each: Measured) -> dict[str, Entry]:
    """What is judged of one stitcher: itself as it is scored, and its controls, as far as they were found."""
    found = {} if each.outcome is None else {"": each.run.selected.rounded()}
    controls = {"matched_": each.matched, "null_": each.shuffled}
    return found | {name: control.entry for name, control in controls.items() if control is not None}


def columns(one: Wanted, known: Known, looks: Mapping[str, Look]) -> dict[str, Any]:
    """The numbers of one detector and one stitcher by the name of their column; `looks` are those of `entries`."""
    return {**_of_detector(one, known), **_of_stitched(known.native[one], looks)}


def _of_detector(one: Wanted, known: Known) -> dict[str, Any]:
    fitted, native = known.fitted[one], known.native[one]
    strange = None if known.strange is None else known.strange[one]
    sanity = None if strange is None else detect(native.scores, strange.scores)
    split = halves(native.scores)
    return {
        "native_score": native.mean(),
        "native_split_auroc": split and split.auroc,
        "classifier_accuracy": native.accuracy,
        "sanity_auroc": sanity and sanity.auroc,
        "sanity_fpr95": sanity and sanity.fpr95,
        "sanity_score": strange and strange.mean(),
        "sanity_images": 0 if strange is None else len(strange.scores),
        "native_images": len(native.scores),
        "detector_images": fitted.images,
        "outlier_images": fitted.outliers,
        "classifier_parameters": fitted.parameters,
        "detector_seconds": fitted.seconds,
    }


def _of_stitched(native: Look, looks: Mapping[str, Look]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, look in looks.items():
        verdict = detect(native.scores, look.scores)
        found |= {f"{name}auroc": verdict and verdict.auroc, f"{name}score": look.mean()}
        if not name:
            found |= {"aupr": verdict and verdict.aupr, "fpr95": verdict and verdict.fpr95, "read_accuracy": look.accuracy}
    return {("stitched_score" if key == "score" else key): value for key, value in found.items()}
