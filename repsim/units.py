"""Owns the unit of a column: what its field says itself (`json_schema_extra={"unit": …}`), else what its name says by rule.

Most names say it: all that ends in `images` counts images. The first rule that a name meets holds; those of one job come first.
Text, truth values and ids have no unit: "–". A pure number (a ratio, a weight, a seed) has the unit "1".
"""

import typing
from fnmatch import fnmatchcase
from itertools import chain

from pydantic.fields import FieldInfo

NONE, PURE, UNSAID = "–", "1", ""
TIME = frozenset({"seconds", "images per second", "GB"})
"""Units of what differs each time that the same is computed."""
TEST = "fraction of test images"
TRAINING = "fraction of training images"
HELD_OUT = "fraction of validation images"
ATTACKED = "fraction of attacked images"
PIXELS = "pixel values in [0, 1]"
MEASURE = "that of the measure: 1, or a distance (see scale)"

OF_JOBS: dict[str, dict[str, str]] = {
    "compare": {"value": MEASURE, "null": MEASURE, "low": MEASURE, "high": MEASURE, "*accuracy": "fraction of the images compared"},
    "evaluate": {"*accuracy": "fraction of answers"},
    "low_rank": dict.fromkeys(("value", "null", "low", "high"), f"{TEST}, or that of the similarity (see measure)"),
    "train": {"warmup": "epochs", "attack_ratio": "fraction of a batch", "validation": "images"},
    "ood": {
        "*auroc": "probability",
        "aupr": "probability",
        "*fpr95": "fraction of native or stitched activations",
        "*score": "that of the detector (see detector)",
        "margin_*": "that of the detector (see detector)",
        "read_accuracy": "fraction of stitched activations",
        "classifier_accuracy": "fraction of native activations",
    },
}
"""Where one name means different things in different jobs, or only one has it."""

RULES: dict[str, str] = {
    "images_per_second": "images per second",
    "*images": "images",
    "*seconds": "seconds",
    "*_gb": "GB",
    "work": "images, or expected seconds",
    "curve_epoch": "epochs",
    "curve_rate": PURE,
    "curve_accuracy": "fraction of the images of curve_on",
    "curve_train_accuracy": TRAINING,
    "curve_validation_accuracy": HELD_OUT,
    "train_accuracy": TRAINING,
    "validation_accuracy": HELD_OUT,
    "relative_accuracy": PURE,
    "robust_right": "answers",
    "*robust_*": ATTACKED,
    "stitched_on_*": ATTACKED,
    "front_on_*": ATTACKED,
    "end_on_*": ATTACKED,
    "*accuracy*": TEST,
    "*penalty*": TEST,
    "rounding_loss": TEST,
    "*agreement": TEST,
    "hits_*": TEST,
    "label_noise": TRAINING,
    "shortcut": "probability",
    "*loss*": "nats, where it is a cross-entropy alone",
    "brier": "squared distance of outputs",
    "ece": "probability",
    "residual_uncentred": "fraction of the squared length of g's layer",
    "residual*": "fraction of the variance of g's layer",
    "*_residual": "fraction of the variance of g's layer",
    "explained": "fraction of variance",
    "variance": "fraction of variance",
    "sparsity": "fraction of weights",
    "*epsilon": PIXELS,
    "*_step": PIXELS,
    "mean": PIXELS,
    "std": PIXELS,
    "attack_steps": "steps",
    "test_steps": "steps",
    "*epochs*": "epochs",
    "*epoch": "epochs",
    "eval_every": "epochs",
    "checkpoint_every": "epochs",
    "*batch_size": "images",
    "batch": "images",
    "*seed": PURE,
    "*parameters": "parameters",
    "right": "answers",
    "answers": "answers",
    "rows": "rows",
    "row_values": "values",
    "bootstrap": "draws",
    "neighbours": "images",
    "restarts": "tries",
    "channels": "channels",
    "bandwidth": "median distances",
    "*width": "channels, or as the architecture counts",
    "depth": "blocks, or as the architecture counts",
    "*rank": "dimensions",
    "together": "networks",
    "trained_at_once": "networks",
    "warmup": "fraction of the epochs",
    "attack_ratio": "fraction of a batch",
    "attempt": "restarts",
    "singular_values": PURE,
    "*cka_*": PURE,
    "*cosine*": PURE,
    "*ridge": "mean variances",
    "condition": PURE,
    "*_version": PURE,
    **dict.fromkeys(("*lr", "*momentum", "*weight_decay", "*clip", "*ema", "*label_smoothing", "*weight"), PURE),
    **dict.fromkeys(("alpha", "beta", "tau", "temperature", "l1", "regulariser", "sigma", "shrinkage"), PURE),
}
"""By pattern of the name, for all jobs."""


def unit(job: str, name: str, field: FieldInfo) -> str:
    """The unit of a column of `job`; UNSAID where nobody says it."""
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "unit" in extra:
        return str(extra["unit"])
    if not {int, float} & _kinds(field.annotation):
        return NONE
    rules = chain(OF_JOBS.get(job, {}).items(), RULES.items())
    return next((said for pattern, said in rules if fnmatchcase(name, pattern)), UNSAID)


def _kinds(annotation: typing.Any) -> set[typing.Any]:
    """The plain types of which an annotation is made; of a literal those of its values."""
    if typing.get_origin(annotation) is typing.Literal:
        return {type(value) for value in typing.get_args(annotation)}
    parts = typing.get_args(annotation)
    return set().union(*map(_kinds, parts)) if parts else {annotation}
