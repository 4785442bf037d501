"""Owns what is known of each measure without computing it: its family, view, range, options and what a sweep may ask of it.

Light on purpose: sweeps are planned with it. The functions are in `measures`.
"""

from dataclasses import dataclass
from math import inf, pi, sqrt
from typing import Literal

Family = Literal["linear", "moments", "minibatch", "pairs", "rows", "outputs"]
"""What a measure is computed from.

linear: from second moments or from inner products of images, whichever is cheaper; moments: from the second moments of the
two layers; minibatch: from inner products of the images of each batch; pairs: from a number for every pair of images; rows: from
the two values of each image; outputs: from the logits.
"""
View = Literal["flatten", "channel", "pool", "position", "class", "mean"]
"""How an activation becomes rows: see `views`."""


@dataclass(frozen=True)
class Known:
    """One measure.

    Attributes:
        family: what it is computed from.
        scale: whether more means nearer or further.
        low, high: its range.
        view: taken where nothing is said.
        options: fields of the job that it reads beside the view.
        one_way: whether X → Y and Y → X differ.
    """

    family: Family
    scale: Literal["similarity", "distance"] = "similarity"
    low: float = 0.0
    high: float = 1.0
    view: View = "channel"
    options: tuple[str, ...] = ()
    one_way: bool = False


def _distance(high: float, **more) -> Known:
    return Known("moments", "distance", 0.0, high, **more)


KNOWN: dict[str, Known] = {
    "cka": Known("linear", view="flatten"),
    "cka_debiased": Known("linear", low=-1.0, view="flatten"),
    "cka_angular": Known("linear", "distance", 0.0, pi / 2, view="flatten"),
    "cka_minibatch": Known("minibatch", low=-1.0, view="flatten", options=("batch",)),
    "cka_rbf": Known("pairs", view="flatten", options=("bandwidth",)),
    "cka_rbf_debiased": Known("pairs", low=-1.0, view="flatten", options=("bandwidth",)),
    "cca": Known("moments"),
    "cca_squared": Known("moments"),
    "svcca": Known("moments", options=("variance",)),
    "svcca_squared": Known("moments", options=("variance",)),
    "pwcca": Known("moments", one_way=True),
    "pwcca_reversed": Known("moments", one_way=True),
    "nbs": Known("moments"),
    "procrustes": _distance(sqrt(2)),
    "procrustes_squared": _distance(2.0),
    "procrustes_half": _distance(1.0),
    "procrustes_angular": _distance(pi / 2),
    "procrustes_scaled": _distance(1.0),
    "procrustes_size_and_shape": _distance(inf),
    "ortho_procrustes": Known("moments"),
    "shape": _distance(pi / 2, options=("alpha",)),
    "permutation_match": Known("moments", low=-1.0),
    "permutation_procrustes": _distance(2.0),
    "permutation_procrustes_squared": _distance(4.0),
    "permutation_angular": _distance(pi),
    "correlation_match": Known("moments", low=-1.0),
    "correlation_match_soft": Known("moments", low=-1.0),
    "wreath_procrustes": Known("moments"),
    "wreath_cosine": Known("moments", low=-1.0),
    "regression": Known("moments", one_way=True),
    "regression_reversed": Known("moments", one_way=True),
    "ridge": Known("moments", options=("ridge",), one_way=True),
    "ridge_reversed": Known("moments", options=("ridge",), one_way=True),
    "gulp": _distance(inf, options=("ridge",)),
    "wreath_cka": Known("pairs", low=-1.0, options=("statistic", "centred")),
    "wreath_cka_biased": Known("pairs", low=-1.0, options=("statistic", "centred")),
    "ortho_cka": Known("pairs", low=-1.0, view="flatten"),
    "distance_correlation": Known("pairs", view="flatten"),
    "distance_correlation_debiased": Known("pairs", low=-1.0, view="flatten"),
    "rsa": Known("pairs", low=-1.0, view="flatten", options=("rdm", "comparison")),
    "mutual_knn": Known("pairs", view="flatten", options=("neighbours", "metric")),
    "jaccard": Known("pairs", view="flatten", options=("neighbours", "metric")),
    "cknna": Known("pairs", low=-1.0, view="flatten", options=("neighbours",)),
    "l2": Known("rows", "distance", 0.0, inf, view="flatten"),
    "sign_overlap": Known("rows", view="flatten"),
    "agreement": Known("outputs"),
    "jensen_shannon": Known("outputs", "distance", 0.0, 1.0),
    "accuracy_difference": Known("outputs", "distance", 0.0, 1.0),
}
LOGITS = "logits"  # what an `outputs` measure compares, and a layer for every other one
