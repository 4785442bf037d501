"""Owns the recipes by which networks are trained: plain values, and the learning rate over time. Light (no torch)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from repsim.errors import InputError, nearest


@dataclass(frozen=True)
class Recipe:
    """One way to train. `lr` is the highest learning rate; `schedule` names its course in SCHEDULES.

    `decays`: what weight decay acts on, `all` parameters or only `weights` (no biases).
    """

    epochs: int
    batch_size: int
    optimizer: Literal["sgd", "adam"]
    lr: float
    weight_decay: float
    schedule: Literal["thirds", "quarters", "one_cycle"]
    augment: Literal["none", "flip", "crop_flip"]
    decays: Literal["all", "weights"] = "all"
    label_smoothing: float = 0.0


def choose(name: str, epochs: int | None = None, batch_size: int | None = None, lr: float | None = None) -> Recipe:
    """The recipe called `name`, with what is given in place of its own; an unknown name is an InputError."""
    if name not in RECIPES:
        raise InputError(f"there is no recipe '{name}'", do=nearest(name, RECIPES))
    given = {"epochs": epochs, "batch_size": batch_size, "lr": lr}
    return replace(RECIPES[name], **{key: value for key, value in given.items() if value is not None})


def rate(recipe: Recipe, time: float) -> float:
    """Learning rate at `time` in epochs (2.5: in the middle of the third epoch)."""
    return recipe.lr * SCHEDULES[recipe.schedule](time, recipe.epochs)


def thirds(time: float, epochs: int) -> float:
    """Divided by 10 at one third and at two thirds of the epochs, at the start of an epoch."""
    return 0.1 ** (3 * int(time) // epochs)


def quarters(time: float, epochs: int) -> float:
    """Halved after every quarter of the epochs: 0.5^⌊epoch / max(1, ⌊epochs / 4⌋)⌋."""
    return 0.5 ** (int(time) // max(1, epochs // 4))


def one_cycle(time: float, epochs: int) -> float:
    """Linearly up from 0 in the first quarter, linearly down to 0 in the rest (Smith and Topin 2017)."""
    share = time / epochs
    return min(4 * share, (1 - share) * 4 / 3)


SCHEDULES: dict[str, Callable[[float, int], float]] = {"thirds": thirds, "quarters": quarters, "one_cycle": one_cycle}

# frankenstein: Csiszárik et al. 2021, the defaults of their published training script and their learning curves (300 epochs,
#   batch 128, lr 0.1). They drop the last, smaller batch of an epoch (we use it) and published the weights after 110,000 of
#   117,000 steps (we keep the last).
# modelsym: Godfrey et al. 2022, as their published training code has it. They move images by up to 2 pixels and fill with the
#   mean (here 4 pixels, black), use float16 autocast (here float32), and keep the epoch that is best on the test
#   set (here the last one).
# quick: ours, for small images such as the digits (no flip: a mirrored digit is another sign); a few seconds on one core.
RECIPES: dict[str, Recipe] = {
    "frankenstein": Recipe(300, 128, "sgd", 0.1, 1e-4, "thirds", "crop_flip"),
    "modelsym": Recipe(50, 32, "adam", 1e-3, 1e-4, "quarters", "crop_flip", decays="weights"),
    "quick": Recipe(12, 64, "sgd", 0.1, 5e-4, "one_cycle", "none", label_smoothing=0.1),
}
