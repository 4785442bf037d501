"""Owns what may be asked of attacks on stitched networks, and what they mean as numbers. Light: sweeps are planned with it."""

from collections.abc import Iterator, Mapping
from typing import Any

from repsim.data.sources import Source
from repsim.errors import InputError
from repsim.robustness import rules
from repsim.robustness.linf import Adversary, Linf

TRAINED = {"none": (), "madry": ("attack_ratio", "attack_step", "attack_steps"), "trades": ("beta", "attack_step", "attack_steps")}
TESTED = {
    "none": (),
    "pgd": ("test_epsilon", "test_step", "test_steps", "test_seed", "attacked_images"),
    "autoattack": ("test_epsilon", "test_seed", "attacked_images"),
}
"""The fields that mean something to an adversary, and to an attack at the end."""


def refusals(c: Any) -> Iterator[tuple[bool, str]]:
    """(is it so?, why it is refused) of everything about attacks that a stitch's Config `c` cannot mean; the field comes first."""
    yield from _idle(c, "adversary", TRAINED)
    yield from _idle(c, "attack", TESTED)
    unused = c.adversary == "none" and c.attack == "none" and _given(c, "epsilon")
    yield unused, "epsilon: nothing is attacked, give an adversary or an attack"
    attacked = c.adversary != "none" or c.attack != "none"
    yield attacked and c.control is not None, "control: attacks go through f, in whose place another value stands; leave it out"
    if c.adversary != "none":
        yield from _of_training(c)


def check(c: Any, source: Source) -> None:
    """Raise InputError for an attack that does not fit the data set `source`, or is not installed."""
    if c.attack == "autoattack":
        rules.check_autoattack(source)
    there = c.test_images or source.test_images
    if (c.attacked_images or 0) > there:
        what = f"{c.attacked_images} of {there} test images of '{source.name}' are wanted"
        raise InputError(what, where="attacked_images", do=f"ask for {there} at most")


def adversary(c: Any) -> Adversary | None:
    """What S is trained against."""
    if c.adversary == "none":
        return None
    step = c.epsilon / 4 if c.attack_step is None else c.attack_step
    return Adversary(c.adversary, Linf(c.epsilon, step, c.attack_steps), c.attack_ratio, c.beta, c.data_seed)


def tested(c: Any) -> Linf:
    """The ball and the steps of the attack at the end."""
    epsilon = c.epsilon if c.test_epsilon is None else c.test_epsilon
    return Linf(epsilon, epsilon / 4 if c.test_step is None else c.test_step, c.test_steps)


def passes(c: Any) -> float:
    """Times that a training image goes through the stitched network per epoch, forward and back: each step of an attack is one."""
    return 1 + {"none": 0.0, "madry": c.attack_ratio * c.attack_steps, "trades": 1.0 + c.attack_steps}[c.adversary]


def test_passes(c: Any, source: Source) -> float:
    """Images times steps of the attack at the end."""
    images = c.attacked_images or c.test_images or source.test_images
    return images * {"none": 0, "pgd": c.test_steps + 1, "autoattack": rules.PASSES}[c.attack]


def _of_training(c: Any) -> Iterator[tuple[bool, str]]:
    yield c.epochs == 0, "adversary: nothing is trained against it, epochs is 0"
    yield c.target != "hard", f"adversary: its loss is of labels, not of the target {c.target}; choose target: hard"
    yield c.cka_reg != 0, "cka_reg: it compares clean values, which an adversary's loss does not read; leave it out"
    yield c.batchnorm == "train", "batchnorm: attacks go through frozen norms; choose frozen or reestimate"
    yield c.precision != "fp32", "precision: attacks are made in fp32"
    share = c.adversary == "madry" and round(c.attack_ratio * c.batch_size) == 0
    yield share, f"attack_ratio: that share of a batch of {c.batch_size} is no image; at least {1 / c.batch_size:g}"


def _idle(c: Any, field: str, known: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[bool, str]]:
    """Fields that were given and that the choice of `field` does not read."""
    chosen = getattr(c, field)
    for name in dict.fromkeys(name for names in known.values() for name in names):
        yield name not in known[chosen] and _given(c, name), f"{name}: with {field} {chosen} it has no meaning"


def _given(c: Any, field: str) -> bool:
    return getattr(c, field) != type(c).model_fields[field].default
