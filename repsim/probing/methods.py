"""Owns by what the fit of two layers may be judged beside one another, and what may be asked of each way.

Light on purpose: sweeps are planned with it.
"""

from collections.abc import Iterator
from typing import Any

from repsim.errors import nearest
from repsim.probing import rules
from repsim.similarity import fit
from repsim.similarity import rules as comparing
from repsim.similarity.fit import Shape
from repsim.similarity.known import KNOWN
from repsim.similarity.request import Request, Value
from repsim.stitching import shapes

TASK, MATCHED, PROBE = "task", "matched", "probe"
STITCHED = (TASK, MATCHED)
TRAINING = ("init", "epochs", "lr", "weight_decay", "seed")
"""Fields that only a stitcher trained on the task has."""
MEASURES = tuple(name for name, one in KNOWN.items() if not one.options and one.family != "outputs")
"""Measures of two layers that have nothing more to choose."""
WAYS = (*STITCHED, PROBE, *MEASURES)


def must_be_known(measure: str) -> str:
    """The same name; ValueError for one that is none."""
    if measure not in WAYS:
        raise ValueError(f"there is no measure '{measure}': {nearest(measure, WAYS)}")
    return measure


def refusals(c: Any) -> Iterator[tuple[bool, str]]:
    """(is it so?, why it is refused) of everything that Config `c` cannot mean; the field comes first."""
    defaults = type(c).model_fields
    for field in TRAINING:
        yield c.measure != TASK and getattr(c, field) != defaults[field].default, f"{field}: only the measure {TASK} trains"
    yield c.measure in STITCHED and c.view is not None, f"view: {c.measure} maps the channels at every position"
    yield c.measure == PROBE and c.view not in (None, *rules.VIEWS), f"view: a probe reads {', '.join(rules.VIEWS)}"
    yield c.measure not in STITCHED and c.resize_at != "pre", "resize_at: only stitchers have it"
    yield c.resize is None and c.resize_at != "pre", "resize_at: nothing is resized"
    yield c.measure in (TASK, PROBE) and c.validation_images == 0, f"validation_images: {c.measure} chooses by them, hold some out"


def check(c: Any, front: Shape, end: Shape) -> None:
    """Raise InputError where Config `c` does not fit layers of these shapes."""
    rules.check_rank(c.rank, front, "rank")
    if c.measure in STITCHED:
        shapes.check_family("linear", shapes.join(front, end, **joint(c, front, end)))
    elif c.measure == PROBE:
        fit.check_view(front, rules.view_of(c.view, front))
    else:
        comparing.check_request(request(c, front, end), front, end)


def joint(c: Any, front: Shape, end: Shape) -> dict[str, str]:
    """How a stitcher joins two layers: resized where that means something, so that one Config does for all pairs of layers."""
    apart = 3 in (len(front), len(end)) and front[1:] != end[1:]
    return {"resize": c.resize, "resize_at": c.resize_at} if apart and c.resize else {}


def request(c: Any, front: Shape, end: Shape) -> Request:
    """What the Config `c` of a similarity asks for of layers of these shapes; an alignment that changes nothing is left out."""
    view = c.view or KNOWN[c.measure].view
    needed = fit.meets_by_position(c.measure, view) and fit.needs_align(front, end)
    return Request(c.measure, Value(c.front_layer, c.rank), Value(c.end_layer), view, c.resize if needed else None)


def scale_of(measure: str) -> str:
    """similarity: more is nearer; distance: less is. An accuracy counts as a similarity."""
    return KNOWN[measure].scale if measure in KNOWN else "similarity"
