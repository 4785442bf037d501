"""Owns what may be asked of a comparison: which options a measure reads, and which layers, views and ranks it can be asked of.

Light on purpose: sweeps are planned with it. What shapes fit which view is in `fit`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from repsim.data.sources import Source
from repsim.errors import InputError, nearest, within
from repsim.similarity import fit
from repsim.similarity.fit import Shape
from repsim.similarity.known import KNOWN, LOGITS
from repsim.similarity.request import Request, Sample, Value

Sheet = Sequence[Mapping[str, Any]]

OPTIONS = (
    *("bandwidth", "variance", "alpha", "ridge", "neighbours", "metric"),
    *("rdm", "comparison", "statistic", "centred", "batch"),
)
"""Every field that some measures read and others do not."""
WIDEST = 8_192  # values in a row of which second moments are kept: a matrix then takes half a gigabyte, its factors minutes
FEWEST_DRAWS = 100  # of a bootstrap: its 95 % interval leaves two or three of them on each side
GROUPS = 100  # of images that a bootstrap draws: sums are kept for each
KENDALL_IMAGES = 3_162  # above, Kendall's tau takes minutes for every pair of layers: see `ranks`
SAME_WIDTH = ("l2", "sign_overlap")  # measures that subtract or compare value by value


def refusals(c: Any) -> Iterator[tuple[bool, str]]:
    """(is it so?, why it is refused) of everything that a comparison's Config `c` cannot mean; the field comes first."""
    known, defaults = KNOWN[c.measure], type(c).model_fields
    for field in OPTIONS:
        given = getattr(c, field) != defaults[field].default
        yield given and field not in known.options, f"{field}: the measure {c.measure} has none"
    yield from _of_control(c)
    yield 0 < c.bootstrap < FEWEST_DRAWS, f"bootstrap: an interval wants at least {FEWEST_DRAWS} draws"
    yield bool(c.bootstrap) and view_of(c) == "position", "bootstrap: the mean over positions has no interval, choose another view"
    if known.family == "outputs":
        yield (c.front_layer, c.end_layer) != (LOGITS, LOGITS), f"front_layer: {c.measure} compares {LOGITS} with {LOGITS}"
        for field in ("view", "align", "front_rank", "end_rank"):
            yield getattr(c, field) is not None, f"{field}: {c.measure} compares {LOGITS} as they are"


def view_of(c: Any) -> str:
    """The view that Config `c` means: its own, else that of its measure."""
    return c.view or KNOWN[c.measure].view


def shape_of(sheet: Sheet, classes: int, name: str, field: str) -> Shape:
    """The shape of a layer in a network's sheet, or of its logits; InputError if there is none."""
    shapes = {row["name"]: tuple(row["shape"]) for row in sheet} | {LOGITS: (classes,)}
    if name not in shapes:
        raise InputError(f"there is no layer '{name}'", where=field, do=nearest(name, shapes))
    return shapes[name]


def check(c: Any, front: Shape, end: Shape) -> None:
    """Raise InputError where Config `c` does not fit layers of these shapes."""
    with within(f"{c.front_layer} × {c.end_layer}"):
        for shape, rank, side in ((front, c.front_rank, "front"), (end, c.end_rank, "end")):
            fit.check_view(shape, view_of(c))
            _check_rank(shape, rank, side)
        check_request(request(c, front, end), front, end)


def request(c: Any, front: Shape, end: Shape) -> Request:
    """What Config `c` asks for of layers of these shapes; an alignment that changes nothing is left out."""
    needed = fit.meets_by_position(c.measure, view_of(c)) and fit.needs_align(front, end)
    options = tuple(sorted((name, getattr(c, name)) for name in KNOWN[c.measure].options))
    values = Value(c.front_layer, c.front_rank), Value(c.end_layer, c.end_rank)
    return Request(c.measure, *values, view_of(c), c.align if needed else None, options)


def check_request(asked: Request, front: Shape, end: Shape) -> None:
    """Raise InputError where a measure cannot be taken of layers of these shapes in this view."""
    family = KNOWN[asked.measure].family
    for shape in (front, end):
        fit.check_view(shape, asked.view)
        if family in ("pairs", "minibatch") and asked.measure not in fit.BY_CHANNEL and fit.rows(shape, asked.view)[0] > 1:
            what = f"{asked.measure} compares images, and view {asked.view} makes {fit.rows(shape, asked.view)[0]} rows of each"
            raise InputError(what, where="view", do="say view: flatten, pool or position")
    if fit.meets_by_position(asked.measure, asked.view):
        front, end = fit.aligned(front, end, asked.align)
    widths = fit.rows(front, asked.view)[1], fit.rows(end, asked.view)[1]
    if asked.measure in SAME_WIDTH and widths[0] != widths[1]:
        what = f"{asked.measure} compares value by value, and rows have {widths[0]} and {widths[1]} values"
        raise InputError(what, where="front_layer, end_layer", do="choose layers of one shape, or another measure")
    if family == "moments" and max(widths) > WIDEST:
        what = f"{asked.measure} needs the second moments of {max(widths):,} values, more than {WIDEST:,}"
        raise InputError(what, where="view", do="say view: channel, pool or position, or choose narrower layers")


def check_images(c: Any, source: Source) -> None:
    """Raise InputError where Config `c` wants more images than the split has, or too few for what it asks of them."""
    there = source.test_images if c.split == "test" else source.train_images
    if (c.images or 0) > there:
        what = f"{c.images} of {there} {c.split} images of '{source.name}' are wanted"
        raise InputError(what, where="images", do=f"ask for {there} at most")
    _check_few(c, c.images or there)
    if c.measure == "rsa" and c.comparison == "kendall" and (c.images or there) > KENDALL_IMAGES:
        what = f"kendall compares all pairs of images, and is offered for {KENDALL_IMAGES:,} of them"
        raise InputError(what, where="comparison", do=f"take spearman, or images: {KENDALL_IMAGES}")


def _check_few(c: Any, images: int) -> None:
    """Raise InputError where fewer images are compared than neighbours or batches take."""
    reads = KNOWN[c.measure].options
    if "neighbours" in reads and c.neighbours >= images:
        what = f"{c.neighbours} neighbours are wanted of {images} images, the image itself not among them"
        raise InputError(what, where="neighbours", do=f"ask for {images - 1} at most, or for more images")
    if "batch" in reads and c.batch > images:
        what = f"a batch of {c.batch} images is wanted of {images}"
        raise InputError(what, where="batch", do=f"say batch: {images} or less, or take cka_debiased")


def sample(c: Any, images: int) -> Sample:
    """The stream of so many images that Config `c` means; a bootstrap draws groups of them."""
    return Sample(images, min(images, GROUPS) if c.bootstrap else 1, c.bootstrap, c.image_seed)


def _of_control(c: Any) -> Iterator[tuple[bool, str]]:
    yield c.control_seed != 0 and c.control is None, "control_seed: nothing is drawn here"
    yield c.control is not None and c.front_layer == LOGITS, f"control: it takes the place of layers, {LOGITS} stay f's own"
    yield c.control is not None and c.front_epoch is not None, f"front_epoch: with control {c.control} no value of f is read"


def _check_rank(shape: Shape, rank: int | None, side: str) -> None:
    if rank is None:
        return
    if len(shape) > 3 or rank > fit.channels(shape):
        what = f"{rank} principal components are wanted of a layer of shape {shape}"
        raise InputError(what, where=f"{side}_rank", do=f"choose 1 to {fit.channels(shape)}" if len(shape) < 4 else "leave it out")
