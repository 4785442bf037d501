"""Owns the recipes by which networks are trained: plain values, each with its source. Light (no torch)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

from repsim.errors import InputError, nearest
from repsim.models.schedules import SCHEDULES

Optimizer = Literal["sgd", "adam", "adamw"]
Schedule = Literal["thirds", "quarters", "late", "one_cycle", "triangle", "cosine", "constant"]
Precision = Literal["fp32", "bf16"]
Compile = Literal["none", "default", "reduce-overhead", "max-autotune"]
Adversary = Literal["none", "madry", "trades"]


@dataclass(frozen=True)
class Recipe:
    """One way to train.

    Attributes:
        lr: the highest learning rate, of the mean loss of a batch; `schedule` names its course in `schedules`.
        augment: random changes of the images, a name of repsim/data/augmentations.py.
        decays: what weight decay acts on, `all` parameters or only `weights` (no biases).
        momentum: of SGD, Nesterov's; Adam and AdamW keep their usual constants.
        warmup: epochs in which the rate also rises linearly from 0.
        bias_lr_scale: batch norms' biases learn at so many times the rate; what decay takes from them stays the same.
        clip: longest gradient (l2 norm over all parameters); 0: not clipped.
        ema: decay per step of a moving average of the weights, which then is the network that counts; 0: none.
        precision: bf16 computes under autocast; weights, averages and steps of the optimizer are fp32 always.
        channels_last: memory order of images and of convolutions' weights; changes rounding only.
        compile: mode of torch.compile; changes rounding only.
        adversary: images that are trained on are attacked within L∞ `epsilon` by `attack_steps` steps of `attack_step`
            (pixels in [0, 1]): `madry`, the share `attack_ratio` of each batch; `trades`, weighed by `beta`.
    """

    epochs: int
    batch_size: int
    optimizer: Optimizer
    lr: float
    weight_decay: float
    schedule: Schedule
    augment: str
    decays: Literal["all", "weights"] = "all"
    label_smoothing: float = 0.0
    momentum: float = 0.9
    warmup: float = 0.0
    bias_lr_scale: float = 1.0
    clip: float = 0.0
    ema: float = 0.0
    precision: Precision = "fp32"
    channels_last: bool = False
    compile: Compile = "none"
    adversary: Adversary = "none"
    attack_ratio: float = 1.0
    epsilon: float = 8 / 255
    attack_step: float = 2 / 255
    attack_steps: int = 10
    beta: float = 1.0


NAMES = tuple(field.name for field in fields(Recipe))
ATTACK = ("attack_ratio", "epsilon", "attack_step", "attack_steps", "beta")


def choose(name: str, arch: str = "", **given: Any) -> Recipe:
    """The recipe called `name` as it is for `arch`, with what is `given` (not None) in place of its own values.

    Raises InputError for an unknown name, an unknown schedule among them.
    """
    if name not in RECIPES:
        raise InputError(f"there is no recipe '{name}'", do=nearest(name, RECIPES))
    patterns = [pattern for pattern in FAST if name == "fast" and fnmatchcase(arch, pattern)]
    own = FAST[patterns[0]] if patterns else {}
    return replace(RECIPES[name], **{**own, **{key: value for key, value in given.items() if value is not None}})


def rate(recipe: Recipe, time: float) -> float:
    """Learning rate at `time` in epochs (2.5: in the middle of the third epoch)."""
    value = recipe.lr * SCHEDULES[recipe.schedule](time, recipe.epochs)
    return value * time / recipe.warmup if time < recipe.warmup else value


def passes(recipe: Recipe) -> float:
    """Times that an image goes through the network per epoch, forward and back: each step of an attack is one."""
    attacked = {"none": 0.0, "madry": recipe.attack_ratio * recipe.attack_steps, "trades": 1.0 + recipe.attack_steps}
    return 1.0 + attacked[recipe.adversary]


def asked(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What a Config's `fields` ask for in place of a recipe's own values; those that are None do not."""
    return {name: fields[name] for name in NAMES if fields.get(name) is not None}


def refuse_idle(recipe: Recipe, asked: Iterable[str]) -> None:
    """Raise InputError for a value that was asked for and changes nothing: it would give one network two names.

    Likewise for a share to attack that is less than one image of a batch.
    """
    idle = {
        "has no meaning without an adversary": ATTACK if recipe.adversary == "none" else (),
        "is of adversary 'trades'": ("beta",) if recipe.adversary == "madry" else (),
        "is of adversary 'madry'": ("attack_ratio",) if recipe.adversary == "trades" else (),
        "is of optimizer 'sgd'": ("momentum",) if recipe.optimizer != "sgd" else (),
    }
    for reason, names in idle.items():
        for name in asked:
            if name in names:
                raise InputError(f"{name} {reason}", do=f"leave {name} out")
    if recipe.adversary == "madry" and round(recipe.attack_ratio * recipe.batch_size) == 0:
        what = f"attack_ratio {recipe.attack_ratio:g} of a batch of {recipe.batch_size} attacks no image"
        raise InputError(what, do=f"at least {1 / recipe.batch_size:g}, or adversary: none")


# frankenstein: Csiszárik et al. 2021, the defaults of their published training script and their learning curves (300 epochs,
#   batch 128, lr 0.1). They drop the last, smaller batch of an epoch (we use it) and published the weights after 110,000 of
#   117,000 steps (we keep the last).
# madry: Balogh and Jelasity 2023, the defaults of their published training script: those of frankenstein, with every image
#   attacked: L∞ 8/255 by 10 steps of 2/255. Their β of TRADES (`adversary: trades`) is 1; Zhang et al. 2019 show 1 and 6.
# modelsym: Godfrey et al. 2022, as their published training code has it. They move images by up to 2 pixels and fill with the
#   mean (here 4 pixels, black), use float16 autocast (here float32), and keep the epoch that is best on the test
#   set (here the last one).
# stitching_ood: Balogh and Jelasity 2025, the defaults of their published training script: Adam, a constant rate, no clipping.
# allcnn: All-CNN-C as Lange trained it after Kornblith et al. 2019: cutout 16, gradients of norm 2 at most, ×0.1 after 200, 250
#   and 300 epochs. The decay is that of Springenberg et al. 2015, the upper end of the 1e-4 … 1e-3 in use.
# quick: ours, for small images such as the digits (no flip: a mirrored digit is another sign); a few seconds on one core.
# fast: the best accuracy per second that published practice gives to networks as they are. From Page 2019 ("How to train your
#   ResNet"): SGD with Nesterov momentum 0.9 and decay 5e-4, batch 512, a short triangle of the rate that peaks at 0.4 in the
#   first quarter (Smith and Topin 2017), label smoothing, an average of the weights. From airbench (Jordan 2024): each
#   image mirrored in every other epoch in place of at random, small shifts, a rate that ends above 0 for the average's sake.
#   Left out: whitening, as it puts a fixed layer before the network, which then is another architecture than the one asked
#   for; identity starts and a scale before the logits, for the same reason; votes of shifted and mirrored copies in
#   scoring, as stitching and comparing meet the network itself.
#   The rate of batch norms' biases is ×1 here: ×64 is published for norms whose weights are fixed, ours learn them too.
RECIPES: dict[str, Recipe] = {
    "frankenstein": Recipe(300, 128, "sgd", 0.1, 1e-4, "thirds", "crop_flip"),
    "madry": Recipe(300, 128, "sgd", 0.1, 1e-4, "thirds", "crop_flip", adversary="madry"),
    "modelsym": Recipe(50, 32, "adam", 1e-3, 1e-4, "quarters", "crop_flip", decays="weights"),
    "stitching_ood": Recipe(100, 64, "adam", 1e-3, 1e-5, "constant", "crop_flip"),
    "allcnn": Recipe(350, 128, "sgd", 0.1, 1e-3, "late", "crop_flip_cutout", clip=2.0),
    "quick": Recipe(12, 64, "sgd", 0.1, 5e-4, "one_cycle", "none", label_smoothing=0.1),
    "fast": Recipe(
        *(20, 512, "sgd", 0.4, 5e-4, "triangle", "crop2_flip_alternating"),
        label_smoothing=0.1,
        ema=0.99,
        precision="bf16",
        channels_last=True,
    ),
}

SMALL_RESIDUAL: Mapping[str, Any] = {"epochs": 40, "batch_size": 256, "label_smoothing": 0.0}
SMALL_PLAIN: Mapping[str, Any] = {"epochs": 30, "batch_size": 256, "label_smoothing": 0.0, "lr": 0.2}
WITHOUT_NORMS: Mapping[str, Any] = {
    "epochs": 30,
    "batch_size": 256,
    "optimizer": "adamw",
    "lr": 1e-3,
    "weight_decay": 0.01,
    "clip": 1.0,
}
TRANSFORMER: Mapping[str, Any] = {
    **{"epochs": 40, "optimizer": "adamw", "lr": 1e-3, "weight_decay": 0.05},
    **{"schedule": "cosine", "warmup": 4.0, "clip": 1.0},
}

# What `fast` changes for a family, by the name of the architecture; the first pattern that fits.
# Small residual networks cannot fit the training images in 20 epochs: longer, smaller batches (more steps), labels as they are.
# Small plain networks underfit likewise. Without norms a rate of 0.4 diverges: Adam's 1e-3, as Godfrey et al. 2022 train mCNN
# without them. Transformers want AdamW, a warm-up, short gradients and a rate that falls to 0; 40 epochs are far from their best.
FAST: dict[str, Mapping[str, Any]] = {
    "*_nobn": WITHOUT_NORMS,
    "*_sigmoid": WITHOUT_NORMS,
    "*vgg[0-9][0-9]": WITHOUT_NORMS,
    "lenet": WITHOUT_NORMS,
    "dense": WITHOUT_NORMS,
    "resnet20*": SMALL_RESIDUAL,
    "resnet32*": SMALL_RESIDUAL,
    "resnet44*": SMALL_RESIDUAL,
    "resnet56*": SMALL_RESIDUAL,
    "tiny10": SMALL_PLAIN,
    "mcnn": SMALL_PLAIN,
    "*vit*": TRANSFORMER,
    "cct_*": TRANSFORMER,
}
