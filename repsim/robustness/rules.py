"""Owns what may be asked of an evaluation. Light on purpose: sweeps are planned with it."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from repsim.data.sources import Source
from repsim.errors import InputError

FIELDS = {
    "none": (),
    "pgd": ("epsilon", "attack_step", "attack_steps", "attack_start", "restarts", "attack_seed"),
    "autoattack": ("epsilon", "attack_seed"),
}
"""Attack → the fields that mean something to it."""
PACKAGE = "autoattack"  # of AutoAttack's authors; the index has another one by a similar name, with another interface
CLASSES = 10  # AutoAttack's standard version aims at 9 wrong classes
PASSES = (
    6_900  # passes through the network of AutoAttack per image that stands: 100 + 9·100 + 9·100 forward and back, 5,000 queries
)


def refusals(c: Any) -> Iterator[tuple[bool, str]]:
    """(is it so?, why it is refused) of everything that an evaluation's Config `c` cannot mean; the field comes first."""
    own, defaults = FIELDS[c.attack], type(c).model_fields
    for field in dict.fromkeys(field for fields in FIELDS.values() for field in fields):
        given = getattr(c, field) != defaults[field].default
        yield given and field not in own, f"{field}: the attack {c.attack} has none"
    yield c.attack_start == "image" and c.restarts > 1, "restarts: each would start at the image itself"
    yield c.attack_start == "image" and c.attack_seed != 0, "attack_seed: nothing is drawn, the start is the image itself"


def check_images(c: Any, source: Source) -> None:
    """Raise InputError where Config `c` wants more test images than the data set has."""
    if (c.test_images or 0) > source.test_images:
        what = f"{c.test_images} of {source.test_images} test images of '{source.name}' are wanted"
        raise InputError(what, where="test_images", do=f"ask for {source.test_images} at most")


def check_autoattack(source: Source) -> None:
    """Raise InputError where AutoAttack is not installed, or not made for the classes of `source`."""
    if not find_spec(PACKAGE):
        do = "pip install git+https://github.com/fra31/auto-attack, or choose attack: pgd"
        raise InputError("AutoAttack is not installed", where="attack", do=do)
    if source.classes < CLASSES or source.attributes:
        what = f"AutoAttack's standard version is made for {CLASSES} classes or more, not for '{source.name}'"
        raise InputError(what, where="attack", do="choose attack: pgd")


def passes(c: Any) -> int:
    """Passes through the network per image, at most: one to score it, and what the attack takes."""
    return 1 + {"none": 0, "pgd": c.restarts * (c.attack_steps + 1), "autoattack": PASSES}[c.attack]
