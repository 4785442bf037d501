"""Owns what may be asked of a stitcher: which fields belong to which family, and which combinations cannot be meant.

Light on purpose: sweeps are planned with it. Defaults pass everywhere, so that a sweep may fix values for all its cases.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from repsim.errors import InputError, nearest
from repsim.stitching.shapes import Shape, check_family, join

INITS = {
    "linear": ("random", "eye", "perm", "zeros", "ones-zeros", "ps_inv", "matched"),
    "lasso": ("random", "eye", "perm", "zeros", "ones-zeros", "ps_inv", "matched"),
    "lowrank": ("random", "ps_inv", "matched"),
    "orthogonal": ("random", "eye", "perm", "matched"),
    "permutation": ("eye", "perm", "matched"),
    "wreath": ("random", "eye", "perm", "matched"),
    "birkhoff": ("random", "eye", "perm", "matched"),
}
OPTIONS = {
    "linear": (),
    "lasso": ("lasso_weight",),
    "lowrank": ("rank",),
    "orthogonal": ("scales",),
    "permutation": (),
    "wreath": ("tau",),
    "birkhoff": ("alpha", "projection", "scales", "warmup", "alternating", "pgd"),
}
JOINT = ("view", "resize", "resize_at", "class_token")
REGULARISED = ("birkhoff", "lasso")  # what `crossval` can choose for
RIDGED = ("linear", "lowrank")
FROM_MOMENTS = ("ps_inv", "matched")
SOFT = ("soft_1", "soft_2", "soft_12", "soft_1_plus_2")
PLAIN = ("cut", "logits")  # what `latents` may name besides layers


def latents_of(text: str | None) -> tuple[tuple[str, float], ...]:
    """ "cut 1, relu8 0.5" → (("cut", 1.0), ("relu8", 0.5)). Raises ValueError for anything else."""
    if text is None:
        return ()
    terms = [term.split() for term in text.split(",")]
    if any(len(term) != 2 for term in terms):
        raise ValueError("latents: give 'LAYER WEIGHT, LAYER WEIGHT …', as in 'cut 1, relu8 0.5'")
    pairs = tuple((layer, _weight("latents", weight)) for layer, weight in terms)
    if len({layer for layer, _ in pairs}) < len(pairs):
        raise ValueError("latents: a layer stands twice")
    return pairs


def candidates_of(text: str | None) -> tuple[float, ...]:
    """ "0.01 0.1 1" → (0.01, 0.1, 1.0). Raises ValueError for anything else."""
    if text is None:
        return ()
    values = tuple(_weight("crossval", word) for word in text.replace(",", " ").split())
    if len(values) < 2 or len(set(values)) < len(values):
        raise ValueError("crossval: give two or more different values, as in '0.01 0.1 1'")
    return values


def must_be_readable(c: Any) -> None:
    """Raise ValueError where a field that holds several values cannot be read."""
    latents_of(c.latents)
    candidates_of(c.crossval)


def refusals(c: Any) -> Iterator[tuple[bool, str]]:
    """(is it so?, why it is refused) of everything that a stitch's Config `c` cannot mean; the field comes first."""
    yield from _of_family(c)
    yield from _of_start(c)
    yield from _of_objective(c)
    yield from _of_training(c)


def check(c: Any, front: Shape, end: Shape, layers: Sequence[str]) -> None:
    """Raise InputError where Config `c` does not fit layers of these shapes; `layers` are all of g in execution order."""
    joint = join(front, end, **{name: getattr(c, name) for name in JOINT})
    check_family(c.stitcher, joint, c.rank)
    for field in ("front_stitch_rank", "front_match_rank"):
        rank = getattr(c, field)
        if rank is not None and rank > joint.inputs:
            what = f"{rank} principal components are wanted of '{c.front_layer}', which has rows of {joint.inputs} values"
            raise InputError(what, where=field, do=f"choose 1 to {joint.inputs}")
    _check_latents(c, layers)


def _check_latents(c: Any, layers: Sequence[str]) -> None:
    behind = [*PLAIN, *layers[layers.index(c.end_layer) + 1 :]]
    for layer, _ in latents_of(c.latents):
        if layer not in behind:
            there = "does not lie behind" if layer in layers else "is no layer of g behind"
            raise InputError(f"'{layer}' {there} '{c.end_layer}'", where="latents", do=nearest(layer, behind))


def _of_family(c: Any) -> Iterator[tuple[bool, str]]:
    own, name = OPTIONS[c.stitcher], c.stitcher
    defaults = type(c).model_fields
    for field in dict.fromkeys(option for options in OPTIONS.values() for option in options):
        yield field not in own and getattr(c, field) != defaults[field].default, f"{field}: a {name} stitcher has none"
    yield name == "lowrank" and c.rank is None, "rank: a lowrank stitcher needs one"
    yield name == "lasso" and c.lasso_weight is None and not c.crossval, "lasso_weight: a lasso stitcher needs one"
    yield name == "lasso" and c.lasso_weight is not None and bool(c.crossval), "lasso_weight: crossval chooses it, leave it out"
    yield name != "linear" and c.mask is not None, f"mask: only a linear stitcher has one, not {name}"
    yield c.warmup != 0.5 and not c.scales, "warmup: without scales nothing is held back"
    yield c.alternating and not c.scales, "alternating: without scales there is nothing to alternate with"
    yield c.view == "flatten" and (c.resize is not None or c.class_token is not None), "view: flatten takes all values as they are"


def _of_start(c: Any) -> Iterator[tuple[bool, str]]:
    inits = INITS[c.stitcher]
    yield c.init not in inits, f"init: a {c.stitcher} stitcher has no '{c.init}'; choose {' or '.join(inits)}"
    yield c.init == "random" and c.epochs == 0, "epochs: a random start must be trained"
    yield c.ridge > 0 and c.stitcher not in RIDGED, f"ridge: direct matching of a {c.stitcher} stitcher has none"
    matches = c.init in FROM_MOMENTS or c.controls
    yield c.ridge > 0 and not matches, "ridge: nothing is matched here"
    yield c.front_match_rank is not None and not matches, "front_match_rank: nothing is matched here"
    seen = c.front_stitch_rank or c.front_match_rank or 0
    yield (c.front_match_rank or 0) > seen, "front_match_rank: it is above front_stitch_rank, which S sees"


def _of_objective(c: Any) -> Iterator[tuple[bool, str]]:
    yield c.temperature != 1.0 and c.target not in SOFT, f"temperature: the target {c.target} has none"
    yield (c.latents is not None) != (c.target == "latents"), "latents: the target latents needs them, and only it has them"
    yield c.l1 > 0 and c.stitcher != "linear", f"l1: only a linear stitcher has it, not {c.stitcher} (see lasso_weight)"


def _of_training(c: Any) -> Iterator[tuple[bool, str]]:
    yield c.stitcher == "permutation" and c.epochs > 0, "epochs: a permutation stitcher has nothing to train, say 0"
    yield c.optimizer != "sgd" and c.momentum > 0, "momentum: only sgd has it"
    yield c.pgd == "gradient" and c.optimizer != "sgd", "pgd: a projected gradient wants optimizer sgd, which adds it as it is"
    yield c.epochs > 0 and c.select == "validation" and c.validation_images == 0, "select: validation needs validation_images"
    yield bool(c.crossval) and c.stitcher not in REGULARISED, f"crossval: a {c.stitcher} stitcher has nothing to choose"
    yield bool(c.crossval) and c.validation_images == 0, "crossval: it chooses on validation images, give some"
    yield bool(c.crossval) and c.select == "test_best", "crossval: it chooses on validation images, not with select test_best"


def _weight(field: str, word: str) -> float:
    try:
        weight = float(word)
    except ValueError:
        raise ValueError(f"{field}: {word!r} is no number") from None
    if not 0 < weight < float("inf"):
        raise ValueError(f"{field}: {word} is not a positive number")
    return weight
