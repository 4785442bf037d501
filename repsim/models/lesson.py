"""Owns one training as a run does it: taken up where it was broken off, scored and kept epoch by epoch, scored at its end."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from math import isfinite, isnan
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from repsim.errors import Interrupted
from repsim.models import checkpoint
from repsim.models.course import Course, EpochBatches, Tick
from repsim.models.learner import detached
from repsim.models.network import Network
from repsim.models.recipes import Precision
from repsim.models.resume import EVERY_S, Resume
from repsim.models.switches import switched
from repsim.models.training import Score, evaluate

Images = Callable[[], Iterable[tuple[Tensor, Tensor]]]
"""The batches (x, y) of a split, in order, anew at every call."""
Keep = Callable[[int, int, nn.Module], None]


@dataclass(frozen=True)
class Outcome:
    """What became of one network.

    Attributes:
        counts: the network that counts; `last`: what its last step left, the same one where nothing is averaged.
        columns: what was measured, by the names that a row has for it; a loss that is not finite is None.
    """

    counts: nn.Module
    last: nn.Module
    diverged: bool
    columns: Mapping[str, Any]


@dataclass
class Lesson:
    """A course and what goes with it.

    Attributes:
        batches: what is trained on.
        splits: what is scored at the end, by name, "test" among them; the curve is scored on "validation", else on "test".
        keep: called with the network's place, the epoch (from 1) and the network that counts, after every `keep_every`
            epochs (0: never), unless it diverged.
        resume: where the state is kept meanwhile; None: nowhere.
        tick: progress; it may raise Interrupted, which leaves the state behind.
        eval_every: epochs between two scores of the curve, in the precision of training; 0: none.
    """

    course: Course
    batches: EpochBatches
    splits: Mapping[str, Images]
    keep: Keep
    resume: Resume | None
    tick: Tick
    eval_every: int = 1
    keep_every: int = 0
    deterministic: bool = False

    def run(self) -> None:
        """To the end; the networks are then in eval mode, with memory of their own."""
        course = self.course
        with switched(course.device, self.deterministic):
            if self.resume:
                self.resume.load(course)
            self._look_back()
            while not course.over:
                course.run_epoch(self.batches, self._tick)
                self._look_back()
        if self.resume and course.seconds > EVERY_S:
            self.resume.save(course)  # a stop while it is scored costs the scores alone
        course.end()

    def outcome(self, k: int) -> Outcome:
        """What became of network number k, scored in float32; after `run`."""
        course, curve = self.course, self.course.curves[k]
        counts, last = course.counting[k], course.networks[k]
        columns: dict[str, Any] = {"validation_accuracy": None, "validation_images": 0}
        for name, images in self.splits.items():
            columns |= _of_split(name, self._scored(counts, images, 1.0))
        columns["last_accuracy"] = self._scored(last, self.splits["test"], 1.0).accuracy if last is not counts else None
        columns |= {"epochs": len(curve.points), "parameters": sum(p.numel() for p in counts.parameters())}
        columns |= {"train_loss": _finite(curve.losses[-1]), "curve_on": self._watched, **_pace(course)}
        columns |= {f"used_{name}": value for name, value in asdict(course.recipe).items()}
        columns |= {f"curve_{name}": values for name, values in curve.columns().items()}
        return Outcome(counts, last, curve.diverged, columns)

    @property
    def _watched(self) -> str:
        """The split that the curve is scored on."""
        return "validation" if "validation" in self.splits else "test"

    def _look_back(self) -> None:
        """What is due between two epochs; again in a run that was broken off here."""
        course = self.course
        if course.step or not course.epoch:
            return
        if self.eval_every and course.epoch % self.eval_every == 0:
            self._extend_curves()
        if self.keep_every and course.epoch % self.keep_every == 0:
            for k, (network, curve) in enumerate(zip(course.counting, course.curves, strict=True)):
                if not curve.diverged:
                    self.keep(k, course.epoch, network)

    def _extend_curves(self) -> None:
        course, images = self.course, self.splits[self._watched]
        for network, curve in zip(course.counting, course.curves, strict=True):
            point = curve.points[-1]
            if point.epoch == course.epoch and isnan(point.accuracy):
                score = self._scored(network, images, course.done / course.total, course.recipe.precision)
                point.accuracy, point.loss = score.accuracy, score.loss

    def _scored(self, network: nn.Module, images: Images, done: float, precision: Precision = "fp32") -> Score:
        return evaluate(network, images(), self.course.steps, lambda: self._tick(done, "scoring"), precision)

    def _tick(self, fraction: float, text: str) -> None:
        """Between two steps, or two batches that are scored: the state is whole."""
        if self.resume and self.resume.due:
            self.resume.save(self.course)
        try:
            self.tick(fraction, text)
        except Interrupted:
            if self.resume:
                self.resume.save(self.course)
            raise


def keep(network: nn.Module, path: Path, **notes: Any) -> None:
    """Save a network of the zoo, in memory of its own and in plain order, whatever it is trained in."""
    plain = detached(network)
    assert isinstance(plain, Network), "what a zoo builds"
    checkpoint.save(plain, path, notes)


def _of_split(name: str, score: Score) -> dict[str, Any]:
    """Columns of one split; those of the test images have no prefix."""
    prefix = "" if name == "test" else f"{name}_"
    return {f"{prefix}accuracy": score.accuracy, f"{prefix}loss": _finite(score.loss), f"{name}_images": score.n}


def _pace(course: Course) -> dict[str, Any]:
    at_once, seconds = len(course.networks), course.seconds
    return {"train_seconds": seconds / at_once, "images_per_second": course.images / seconds, "trained_at_once": at_once}


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
