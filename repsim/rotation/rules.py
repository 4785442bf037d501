"""Owns what may be asked of a rotation. Light on purpose: sweeps are planned with it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from repsim.data.sources import Source
from repsim.errors import InputError
from repsim.stitching.rules import layer

SHOWN = 8  # layers that an error lists


def refusals(c: Any) -> Iterator[tuple[bool, str]]:
    """(is it so?, why it is refused) of everything that a rotation's Config `c` cannot mean; the field comes first."""
    defaults = type(c).model_fields
    yield c.matrix != "g_relu" and c.sigma != defaults["sigma"].default, f"sigma: a matrix {c.matrix} has no scales"
    yield c.optimizer != "sgd" and c.momentum != defaults["momentum"].default, "momentum: only sgd has it"
    yield c.start != "fresh" and c.start_seed != 0, "start_seed: only a fresh start is drawn"
    yield c.start == "fresh" and c.batchnorm == "frozen", "batchnorm: frozen statistics mean nothing to a fresh start"
    yield c.select == "validation" and c.validation_images == 0, "select: validation needs validation_images"


def check_layer(sheet: Sequence[Mapping[str, Any]], name: str) -> None:
    """Raise InputError for a layer that the network does not have, and for one behind which no weights are."""
    _, behind = layer(sheet, name, "layer")
    if not any(row["parameters"] for row in sheet if row["name"] in behind):
        earlier = [row["name"] for row in sheet if row["name"] not in (name, *behind)][-SHOWN:]
        do = f"choose an earlier layer: {', '.join(earlier)}" if earlier else "choose a deeper network"
        raise InputError(f"there are no weights to retrain behind '{name}'", where="layer", do=do)


def check_images(c: Any, source: Source) -> None:
    """Raise InputError where Config `c` wants more images than the data set has."""
    taught, held, there = c.train_images or 2, c.validation_images, source.train_images
    if taught + held > there:
        what = f"{taught} training and {held} validation images are wanted of '{source.name}', which has {there}"
        raise InputError(what, where="train_images, validation_images", do="ask for fewer")
    if (c.test_images or 0) > source.test_images:
        what = f"{c.test_images} of {source.test_images} test images of '{source.name}' are wanted"
        raise InputError(what, where="test_images", do=f"ask for {source.test_images} at most")
