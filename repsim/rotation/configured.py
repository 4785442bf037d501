"""Owns what the fields of a rotation mean: its network, its arms, its images, and the columns of a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, isfinite
from pathlib import Path
from typing import Any

import torch

from repsim.data import batches
from repsim.data.splits import Splits, divide
from repsim.models import checkpoint
from repsim.models.learner import refuse_lone_image
from repsim.models.recipes import Recipe
from repsim.rotation import matrices, retraining
from repsim.rotation.arms import Arm, Asked, arm
from repsim.rotation.prefix import Prefix
from repsim.rotation.resume import Resume
from repsim.stitching import feeding
from repsim.stitching.scores import Score

RECIPE = ("epochs", "batch_size", "optimizer", "lr", "weight_decay", "schedule", "augment", "momentum")


@dataclass(frozen=True)
class Rotations:
    """A group that was measured: the network itself, each arm by what it was asked for, and the file to be removed at the end."""

    original: Score
    arms: dict[Asked, Arm]
    splits: Splits
    resume: Resume

    @property
    def images(self) -> int:
        """Training images that passed through all arms."""
        return sum(arm.epochs_run for arm in self.arms.values()) * len(self.splits.train)

    def columns(self, asked: Asked) -> dict[str, Any]:
        """The numbers of one run by the names of a row; those of scores are left out where there are none."""
        mine, control = self.arms[asked], self.arms[asked.control]
        found = {
            "original_accuracy": self.original.accuracy,
            "control_accuracy": control.scored and control.scored.accuracy,
            "outcome": "diverged" if mine.diverged else "ok",
            **_of_course(mine),
            **_of_images(self.splits),
        }
        return found if mine.scored is None else found | _of_score(mine.scored, control, self.original)


def measured(configs: Sequence[Any], network: Path, context: Any) -> Rotations:
    """Retrain and score all that the configs of one group ask for, and the control of each.

    `network` is the file of the network, `context` that of the job.
    """
    shared = configs[0]
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False  # fp32 means fp32
    splits, prefix = _splits(shared, context), Prefix(checkpoint.load(network).to(context.device), shared.layer)
    _refuse_lone_image(configs, splits, prefix)
    arms = _arms(configs, prefix, ceil(len(splits.train) / shared.batch_size))
    epochs = max(one.recipe.epochs for one in arms)
    progress = feeding.Progress(context.tick, feeding.expected_batches(splits, shared.batch_size, epochs), context.steps)
    order = feeding.ordering(splits, shared.batch_size, shared.data_seed, progress)
    feed = feeding.feed(splits, shared.batch_size, shared.augment, order, progress)
    resume = _resume(configs, order, context)
    original = retraining.measure(prefix, list(arms.values()), feed, lambda: _pause(progress), None if context.steps else resume)
    return Rotations(original, arms, splits, resume)


def _arms(configs: Sequence[Any], prefix: Prefix, steps: int) -> dict[Asked, Arm]:
    """One arm for each that is asked for, and for the control of each; equal ones are one."""
    wanted = dict.fromkeys(one for c in configs for one in (asked(c).control, asked(c)))
    return {one: arm(one, prefix, steps, configs[0].data_seed) for one in wanted}


def _resume(configs: Sequence[Any], order: feeding.Order, context: Any) -> Resume:
    ids = [context.run_id(c) for c in configs]
    return Resume(context.artefacts / min(ids) / "resume.pt", ids, order)


def asked(c: Any) -> Asked:
    """What the Config `c` asks for."""
    recipe = Recipe(**{name: getattr(c, name) for name in RECIPE}, decays="weights")
    return Asked(c.matrix, c.matrix_seed, c.sigma, c.start, c.start_seed, recipe, c.batchnorm, c.select)


def _splits(c: Any, context: Any) -> Splits:
    """Nothing is matched, so one image is enough for that."""
    places = context.data_folders, context.cache, context.device
    wanted = {"train": c.train_images, "validation": c.validation_images, "test": c.test_images}
    return divide(c.dataset, *places, **wanted, match=1)


def _refuse_lone_image(configs: Sequence[Any], splits: Splits, prefix: Prefix) -> None:
    """Raise InputError where an epoch ends with a batch of one image of which a batch norm makes nothing."""
    few, _ = next(iter(batches.ordered(splits.train, 4)))
    if any(c.batchnorm == "train" for c in configs):
        refuse_lone_image(prefix.network, few, len(splits.train), configs[0].batch_size)


def _pause(progress: feeding.Progress) -> None:
    """Between two arms: a step of many of them takes long."""
    progress.tick(min(1.0, progress.done / progress.expected), "training")


def _of_course(mine: Arm) -> dict[str, Any]:
    return {
        "start_accuracy": mine.started and mine.started.accuracy,
        "selected_epoch": mine.selected_epoch,
        "epochs_run": mine.epochs_run,
        "validation_accuracy": mine.judged and mine.judged.accuracy,
        "train_loss": mine.train_loss if mine.train_loss is not None and isfinite(mine.train_loss) else None,
        "channels": matrices.channels_of(mine.shape),
        "condition": matrices.condition(mine.matrix),
        "retrained_parameters": sum(value.numel() for value in mine.learner.trained.values()),
        "curve_validation_accuracy": [point["validation_accuracy"] for point in mine.curve],
        "curve_train_loss": [point["train_loss"] for point in mine.curve],
    }


def _of_images(splits: Splits) -> dict[str, int]:
    held_out = 0 if splits.validation is None else len(splits.validation)
    return {"train_images": len(splits.train), "validation_images": held_out, "test_images": len(splits.test)}


def _of_score(scored: Score, control: Arm, original: Score) -> dict[str, Any]:
    return {
        "accuracy": scored.accuracy,
        "loss": scored.loss if isfinite(scored.loss) else None,
        "penalty": None if control.scored is None else control.scored.accuracy - scored.accuracy,
        "penalty_original": original.accuracy - scored.accuracy,
    }
