"""Owns what may be asked of a probe: which fields belong to which fit, and which views, ranks and images there are.

Light on purpose: sweeps are planned with it.
"""

from collections.abc import Iterator
from typing import Any

from repsim.data.sources import Source
from repsim.errors import InputError, within
from repsim.similarity import fit
from repsim.similarity.fit import Shape

FIELDS = {
    "ridge": ("ridge",),
    "sgd": ("epochs", "batch_size", "optimizer", "lr", "momentum", "weight_decay", "schedule", "probe_seed", "data_seed"),
}
"""Fit → the fields that mean something to it."""
VIEWS = ("pool", "class", "mean", "flatten")
WIDEST = 8_192  # values in a row of which second moments are kept: a matrix then takes half a gigabyte, its factors minutes


def refusals(c: Any) -> Iterator[tuple[bool, str]]:
    """(is it so?, why it is refused) of everything that a probe's Config `c` cannot mean; the field comes first."""
    own, defaults = FIELDS[c.fit], type(c).model_fields
    for field in dict.fromkeys(field for fields in FIELDS.values() for field in fields):
        given = getattr(c, field) != defaults[field].default
        yield given and field not in own, f"{field}: a probe fitted by {c.fit} has none"
    chosen = c.fit == "ridge" and c.ridge is None
    yield chosen and c.validation_images == 0, "ridge: λ is chosen on validation images, hold some out or say which λ"
    yield c.momentum > 0 and c.optimizer != "sgd", "momentum: only the optimizer sgd has it"


def view_of(view: str | None, shape: Shape) -> str:
    """The view that is meant: the one asked for, else the class token or the mean of other tokens, the pooled map."""
    if view is not None:
        return view
    if len(shape) == 2:
        return "class" if fit.skipped(shape) else "mean"
    return "pool" if len(shape) == 3 else "flatten"


def check(c: Any, shape: Shape) -> None:
    """Raise InputError where Config `c` does not fit a layer of this shape."""
    with within(c.layer):
        view = view_of(c.view, shape)
        fit.check_view(shape, view)
        width = fit.rows(shape, view)[1]
        if width > WIDEST:
            what = f"view {view} makes rows of {width:,} values, more than {WIDEST:,}"
            raise InputError(what, where="view", do="say view: pool, or choose a narrower layer")
        check_rank(c.rank, shape, "rank")


def check_rank(rank: int | None, shape: Shape, field: str) -> None:
    """Raise InputError for a rank that a layer of this shape has no room for."""
    if rank is not None and (len(shape) > 3 or rank > fit.channels(shape)):
        what = f"{rank} principal components are wanted of a layer of shape {shape}"
        raise InputError(what, where=field, do=f"choose 1 to {fit.channels(shape)}" if len(shape) < 4 else "leave it out")


def check_images(c: Any, source: Source) -> None:
    """Raise InputError where Config `c` wants more images than the data set has."""
    left = source.train_images - c.validation_images
    if (c.train_images or 2) > left:
        wanted = f"{c.train_images or 2} training and {c.validation_images} validation images"
        what = f"{wanted} are wanted of '{source.name}', which has {source.train_images}"
        raise InputError(what, where="train_images, validation_images", do="ask for fewer")
    if (c.test_images or 0) > source.test_images:
        what = f"{c.test_images} of {source.test_images} test images of '{source.name}' are wanted"
        raise InputError(what, where="test_images", do=f"ask for {source.test_images} at most")
