"""Owns what may be asked of a stitcher: which fields belong to which family, and which combinations cannot be meant.

Light on purpose: sweeps are planned with it. Defaults pass everywhere, so that a sweep may fix values for all its cases.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from repsim.data.sources import Source
from repsim.errors import InputError, nearest
from repsim.stitching.shapes import Joint, Shape, check_family, join

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
MASKS_FROM_MOMENTS = ("semi-match", "abs-semi-match", "soft-match", "hard-match")
CLUSTERED = ("clusters", "random_clusters")  # controls that know images by their pixels
STANDS_IN = ("untrained", *CLUSTERED)  # controls that read nothing of f's layers
SOFT = ("soft_1", "soft_2", "soft_12", "soft_1_plus_2")
PLAIN = ("cut", "logits")  # what `latents` may name besides layers
MANY = 20  # epochs that an error lists
MAX_FLATTENED = 8_192  # values of a side: a matrix of its moments then takes half a gigabyte, its decomposition minutes


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
    yield from _of_no_training(c)
    yield from _of_control(c)


def layer(sheet: Sequence[Mapping[str, Any]], name: str, field: str) -> tuple[Shape, list[str]]:
    """The shape of a layer in a network's sheet, and the later layers that are computed from it; InputError if there is none."""
    names = [row["name"] for row in sheet]
    if name not in names:
        raise InputError(f"there is no layer '{name}'", where=field, do=nearest(name, names))
    place = names.index(name)
    return tuple(sheet[place]["shape"]), [later for later in names[place + 1 :] if later not in sheet[place]["beside"]]


def check(c: Any, front: Shape, end: Shape, behind: Sequence[str]) -> None:
    """Raise InputError where Config `c` does not fit layers of these shapes; `behind`: those computed from g's end layer."""
    joint = join(front, end, **{name: getattr(c, name) for name in JOINT})
    _check_size(joint)
    check_family(c.stitcher, joint, c.rank)
    for field in ("front_stitch_rank", "front_match_rank"):
        rank = getattr(c, field)
        if rank is not None and rank > joint.inputs:
            what = f"{rank} principal components are wanted of '{c.front_layer}', which has rows of {joint.inputs} values"
            raise InputError(what, where=field, do=f"choose 1 to {joint.inputs}")
    for layer, _ in latents_of(c.latents):
        if layer not in (*PLAIN, *behind):
            what = f"'{layer}' is no layer of g that is computed from '{c.end_layer}'"
            raise InputError(what, where="latents", do=nearest(layer, (*PLAIN, *behind)))


def check_images(c: Any, source: Source) -> None:
    """Raise InputError where Config `c` wants more images than the data set has."""
    left = source.train_images - c.validation_images
    if (c.train_images or 2) > left:
        wanted = f"{c.train_images or 2} training and {c.validation_images} validation images"
        what = f"{wanted} are wanted of '{source.name}', which has {source.train_images}"
        raise InputError(what, where="train_images, validation_images", do="ask for fewer")
    for field, there in (("match_images", c.train_images or left), ("test_images", source.test_images)):
        if (getattr(c, field) or 0) > there:
            kind = "test" if field == "test_images" else "training"
            what = f"{getattr(c, field)} of {there} {kind} images of '{source.name}' are wanted"
            raise InputError(what, where=field, do=f"ask for {there} at most")


def check_fit(source: Source, network: Any) -> None:
    """Raise InputError where `network`, facts of f or g, was not made for images and classes such as these."""
    if (network.channels, network.size, network.classes) != (source.channels, source.size, source.classes):
        what = f"'{source.name}' does not fit a network made for {network}"
        raise InputError(what, where="dataset", do="name the data set it was trained on")


def check_epoch(field: str, epoch: int | None, kept: Sequence[int] | None) -> None:
    """Raise InputError for an epoch that is not among those after which a training keeps its network, where they are known."""
    if epoch is None or kept is None or epoch in kept:
        return
    few = [*map(str, kept[:MANY]), *(["…"] if len(kept) > MANY else [])]
    do = f"kept: {', '.join(few)}" if kept else "say checkpoint_every in the zoo block; an imported network has none"
    raise InputError(f"the network is not kept after epoch {epoch}", where=field, do=do)


def _check_size(joint: Joint) -> None:
    widest = max(joint.inputs, joint.outputs)
    if joint.kind == "flatten" and widest > MAX_FLATTENED:
        memory = f"a matrix of {widest:,} × {widest:,} values takes {8 * widest**2 / 1e9:.2f} GB, and several are needed"
        what = f"flatten would map {joint.inputs:,} values to {joint.outputs:,}, from {joint.front} to {joint.end}: {memory}"
        raise InputError(what, where="view", do=f"choose layers of {MAX_FLATTENED:,} values at most, or view: channel")


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
    yield c.warmup == 1 and c.alternating, "warmup: it leaves no epoch in which W and scales could be alternating"
    yield c.view == "flatten" and (c.resize is not None or c.class_token is not None), "view: flatten takes all values as they are"


def _of_start(c: Any) -> Iterator[tuple[bool, str]]:
    inits = INITS[c.stitcher]
    yield c.init not in inits, f"init: a {c.stitcher} stitcher has no '{c.init}'; choose {' or '.join(inits)}"
    yield c.init == "random" and c.epochs == 0, "epochs: a random start must be trained"
    yield c.ridge > 0 and c.stitcher not in RIDGED, f"ridge: direct matching of a {c.stitcher} stitcher has none"
    matches = c.init in FROM_MOMENTS or c.controls
    reads = matches or c.mask in MASKS_FROM_MOMENTS or c.front_stitch_rank is not None
    yield c.ridge > 0 and not matches, "ridge: nothing is matched here"
    yield c.match_images is not None and not reads, "match_images: nothing is matched here"
    yield c.front_match_rank is not None and not matches, "front_match_rank: nothing is matched here"
    seen = c.front_stitch_rank or c.front_match_rank or 0
    yield (c.front_match_rank or 0) > seen, "front_match_rank: it is above front_stitch_rank, which S sees"


def _of_objective(c: Any) -> Iterator[tuple[bool, str]]:
    yield c.temperature != 1.0 and c.target not in SOFT, f"temperature: the target {c.target} has none"
    yield (c.latents is not None) != (c.target == "latents"), "latents: the target latents needs them, and only it has them"
    yield c.alpha != type(c).model_fields["alpha"].default and bool(c.crossval), "alpha: crossval chooses it, leave it out"
    yield c.l1 > 0 and c.stitcher != "linear", f"l1: only a linear stitcher has it, not {c.stitcher} (see lasso_weight)"


def _of_training(c: Any) -> Iterator[tuple[bool, str]]:
    yield c.stitcher == "permutation" and c.epochs > 0, "epochs: a permutation stitcher has nothing to train, say 0"
    yield c.optimizer != "sgd" and c.momentum > 0, "momentum: only sgd has it"
    yield c.pgd == "gradient" and c.optimizer != "sgd", "pgd: a projected gradient wants optimizer sgd, which adds it as it is"
    yield c.epochs > 0 and c.select == "validation" and c.validation_images == 0, "select: validation needs validation_images"
    yield bool(c.crossval) and c.stitcher not in REGULARISED, f"crossval: a {c.stitcher} stitcher has nothing to choose"
    yield bool(c.crossval) and c.validation_images == 0, "crossval: it chooses on validation images, give some"
    yield bool(c.crossval) and c.select == "test_best", "crossval: it chooses on validation images, not with select test_best"


def _of_no_training(c: Any) -> Iterator[tuple[bool, str]]:
    """What shapes a training and is given where there is none.

    Optimizer, learning rate, schedule, batches and selection pass: a sweep fixes them for cases with and without training.
    """
    defaults = type(c).model_fields
    for field in ("target", "l1", "cka_reg", "warmup", "alternating"):
        given = getattr(c, field) != defaults[field].default
        yield c.epochs == 0 and given, f"{field}: nothing is trained with it, epochs is 0"
    moved = c.stitcher == "lasso" and c.init == "matched"  # the start itself depends on what crossval chooses
    yield c.epochs == 0 and bool(c.crossval) and not moved, "crossval: nothing is trained with its values, epochs is 0"


def _weight(field: str, word: str) -> float:
    try:
        weight = float(word)
    except ValueError:
        raise ValueError(f"{field}: {word!r} is no number") from None
    if not 0 < weight < float("inf"):
        raise ValueError(f"{field}: {word} is not a positive number")
    return weight


def _of_control(c: Any) -> Iterator[tuple[bool, str]]:
    yield c.control_seed != 0 and c.control in (None, "shuffled"), "control_seed: nothing is drawn here"
    yield c.front_epoch is not None and c.control in STANDS_IN, f"front_epoch: with control {c.control} no value of f is read"
    yield c.augment != "none" and c.control in CLUSTERED, f"augment: control {c.control} knows images as they are"
