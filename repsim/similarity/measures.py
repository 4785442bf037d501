"""Owns the measures by name, as plain functions of two tensors, and the comparison of two gathered layers by one of them."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from repsim.errors import InputError, nearest
from repsim.similarity import fit, neighbours, positions, rsa, views
from repsim.similarity.features import Features, same_sample
from repsim.similarity.kernel_functions import KERNEL_FUNCTIONS
from repsim.similarity.known import KNOWN
from repsim.similarity.moment_measures import MOMENT_MEASURES
from repsim.similarity.options import need_known
from repsim.similarity.outputs import OUTPUT_MEASURES
from repsim.similarity.rows import ROW_MEASURES
from repsim.similarity.similarity import Similarity


def compare(
    measure: str,
    x: Features,
    y: Features,
    front: str,
    end: str | None = None,
    view: str | None = None,
    align: str | None = None,
    **options: Any,
) -> Similarity:
    """`measure` of layer `front` of x and layer `end` of y (None: the layer of the same name).

    Args:
        view: None: as the measure is defined (`known.KNOWN`); see `fit.VIEWS`.
        align: how maps of other grids become equal, where rows are of positions: pool, bilinear, nearest.
        options: of the measure.

    Raises InputError for features of other images or of another order, and for measures, layers, views and options that
    cannot be meant.
    """
    _need_known(measure, options)
    same_sample(x, y)
    one, other, known = x[front], y[end or front], KNOWN[measure]
    if known.family == "outputs":
        return MEASURES[measure](one, other, x.labels, **options)
    return of(measure, one, other, view or known.view, align, **options)


def of(measure: str, x: Tensor, y: Tensor, view: str, align: str | None = None, **options: Any) -> Similarity:
    """`measure` of two activations (n, …) of the same images in this view; of logits as of any layer.

    Raises InputError for measures, views and options that cannot be meant, and as the measure does.
    """
    _need_known(measure, options)
    for side in (x, y):
        fit.check_view(tuple(side.shape[1:]), view)
    if fit.meets_by_position(measure, view):
        x, y = views.align(x, y, align)
    if view == "position":
        pairs = zip(views.by_position(x), views.by_position(y), strict=True)
        return positions.mean([MEASURES[measure](one, other, **options) for one, other in pairs])
    by_channel = measure == "ortho_cka" and view == "flatten"  # it is of flattened maps, once every channel is of unit norm
    front, end = (_plain(views.rows(side, "channel" if by_channel else view)) for side in (x, y))
    return MEASURES[measure](front, end, **options)


def _need_known(measure: str, options: Mapping[str, Any]) -> None:
    if measure not in MEASURES:
        raise InputError(f"there is no measure '{measure}'", where="measure", do=nearest(measure, MEASURES))
    need_known(measure, options, KNOWN[measure].options)


def _plain(rows: Tensor) -> Tensor:
    """One row per image as (n, p)."""
    return rows[:, 0] if rows.shape[1] == 1 else rows


MEASURES: dict[str, Callable[..., Similarity]] = {
    **MOMENT_MEASURES,
    **KERNEL_FUNCTIONS,
    "rsa": rsa.rsa,
    "mutual_knn": neighbours.mutual_knn,
    "jaccard": neighbours.jaccard,
    "cknna": neighbours.cknna,
    **ROW_MEASURES,
    **OUTPUT_MEASURES,
}
