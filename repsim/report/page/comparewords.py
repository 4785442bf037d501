"""Owns what a methods text says of comparisons: each measure with its source and convention, the images, nulls and intervals."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from repsim.report.counts import number
from repsim.report.page import citations
from repsim.report.page.citations import cite
from repsim.report.page.saying import distinct, listed, shortly, span

Config = Mapping[str, Any]
NAMES = {
    "cka": "linear CKA",
    "cka_debiased": "debiased linear CKA",
    "cka_angular": "angular distance of linear CKA",
    "cka_minibatch": "linear CKA by minibatches",
    "cka_rbf": "CKA with an RBF kernel",
    "cka_rbf_debiased": "debiased CKA with an RBF kernel",
    "cca": "mean canonical correlation",
    "cca_squared": "mean squared canonical correlation",
    "svcca": "SVCCA",
    "svcca_squared": "SVCCA with squared correlations",
    "pwcca": "PWCCA, weighted by f",
    "pwcca_reversed": "PWCCA, weighted by g",
    "nbs": "normalised Bures similarity",
    "procrustes": "orthogonal Procrustes distance",
    "procrustes_squared": "squared orthogonal Procrustes distance",
    "procrustes_half": "half the squared orthogonal Procrustes distance",
    "procrustes_angular": "angular Procrustes distance",
    "procrustes_scaled": "Procrustes distance with a free scale, squared",
    "procrustes_size_and_shape": "Procrustes size-and-shape distance",
    "ortho_procrustes": "orthogonal Procrustes similarity",
    "shape": "shape metric",
    "permutation_match": "best permutation match of channels",
    "permutation_procrustes": "permutation Procrustes distance",
    "permutation_procrustes_squared": "squared permutation Procrustes distance",
    "permutation_angular": "angular permutation distance",
    "correlation_match": "one-to-one matching of correlated channels",
    "correlation_match_soft": "greatest correlations of channels",
    "wreath_procrustes": "wreath Procrustes similarity (permutations and positive scales)",
    "wreath_cosine": "mean cosine of channels under the best wreath product",
    "regression": "R² of linear regression from f to g",
    "regression_reversed": "R² of linear regression from g to f",
    "ridge": "R² of ridge regression from f to g",
    "ridge_reversed": "R² of ridge regression from g to f",
    "gulp": "GULP distance",
    "wreath_cka": "wreath CKA",
    "wreath_cka_biased": "biased wreath CKA",
    "ortho_cka": "ortho CKA",
    "distance_correlation": "distance correlation",
    "distance_correlation_debiased": "debiased distance correlation",
    "rsa": "representational similarity analysis",
    "mutual_knn": "mutual nearest neighbours",
    "jaccard": "Jaccard similarity of nearest neighbours",
    "cknna": "CKNNA",
    "l2": "mean Euclidean distance of activations",
    "sign_overlap": "overlap of the signs of activations",
    "agreement": "agreement of answers",
    "jensen_shannon": "Jensen–Shannon divergence of answers",
    "accuracy_difference": "difference of accuracies",
}
"""Measure → its name in the field. Its estimator, view and options are told by the rows."""
VIEWS = {
    "flatten": "all values of an image as one row",
    "channel": "one row per image and position, one column per channel",
    "pool": "channels averaged over positions",
    "position": "position by position, averaged",
    "class": "the class token",
    "mean": "the mean of the tokens",
}
NULLS = {
    "closed form": "the mean of the measure over all orders of f's images, where it has a closed form",
    "shifted": "the measure with each image of f beside another one of g, in one fixed order",
}
UNSAID = ("f of rank", "g of rank", "n", "images")  # parts of a convention that are told of all measures together
VIEW, GRIDS = "view", "grids by"


def compared(configs: Sequence[Config], pairs: int, layers: Sequence[str], conventions: Iterable[str]) -> Iterator[str]:
    """What is compared; then a sentence per measure with all that decides what its numbers mean."""
    keys = list(dict.fromkeys(map(str, conventions)))
    measures = [str(one) for one in distinct(configs, "measure")]
    where = f"{number(pairs, 'pair')} of networks are compared ({number(len(layers), 'layer')}: {shortly(layers)})"
    yield f"Layers of {where} by {number(len(measures), 'measure')}."
    yield from told(measures, keys)
    if ranks := [one for name in ("front_rank", "end_rank") for one in distinct(configs, name) if one is not None]:
        yield f"Layers are replaced by their best approximation of rank {span(set(ranks))} first."


def told(measures: Sequence[str], conventions: Sequence[str]) -> Iterator[str]:
    """Each measure: its name, source and convention; whether conventions of one measure differ."""
    of = {measure: [_parts(key) for key in conventions if key.split(" · ")[0] == measure] for measure in measures}
    for measure, parts in of.items():
        named = f"{NAMES.get(measure, measure)}{cite(*citations.of_measure(measure))}"
        said = listed(dict.fromkeys(one.estimator for one in parts), "or") if parts else "its convention is told by finished rows"
        yield f"{measure} is {named}: {'; '.join([said, *_options(parts)])}."
    if differing := [f"{measure} in {listed(names)}" for measure, parts in of.items() if (names := _differing(parts))]:
        yield f"Conventions differ ({'; '.join(differing)}); only numbers of equal conventions are comparable."
    yield from _views([one for parts in of.values() for one in parts])
    if products := list(dict.fromkeys(one.products for parts in of.values() for one in parts if one.products)):
        yield f"Arithmetic: {listed(products, 'or')}."


class _Parts:
    """One convention, taken apart: measure · estimator · name value · … · products."""

    def __init__(self, parts: Sequence[str]):
        named = [part.rpartition(" ") for part in parts[1:] if not part.endswith("sums")]
        self.estimator = parts[0]
        self.products = next((part for part in parts[1:] if part.endswith("sums")), None)
        self.options = {name: value for name, _, value in named if name not in UNSAID}
        self.images = next((value for name, _, value in named if name == "n"), None)


def _parts(key: str) -> _Parts:
    return _Parts(key.split(" · ")[1:])


def _options(parts: Sequence[_Parts]) -> list[str]:
    """bandwidth 0.2, 0.4 and 0.8; view flatten."""
    values: dict[str, dict[str, None]] = {}
    for one in parts:
        for name, value in ((name, value) for name, value in one.options.items() if name != GRIDS):
            values.setdefault(name, {})[value] = None
    return [f"{name} {listed(found)}" for name, found in values.items()]


def _views(parts: Sequence[_Parts]) -> Iterator[str]:
    """What the views are that were named, and how grids become equal; once for all measures."""
    views, grids = (list(dict.fromkeys(one.options[name] for one in parts if name in one.options)) for name in (VIEW, GRIDS))
    if said := [f"{name}, {VIEWS[name]}" for name in views if name in VIEWS]:
        yield f"Views: {'; '.join(said)}."
    if grids:
        yield f"Maps of other grids are brought to the smaller one by {listed(grids, 'or')}."


def _differing(parts: Sequence[_Parts]) -> list[str]:
    """What sets the conventions of one measure apart; equal grids need no alignment, so that is no difference."""
    names = dict.fromkeys(name for one in parts for name in one.options if name != GRIDS)
    found = [name for name in names if len({one.options.get(name) for one in parts}) > 1]
    found += ["estimator"] if len({one.estimator for one in parts}) > 1 else []
    found += ["arithmetic"] if len({one.products for one in parts}) > 1 else []
    return found + (["number of images"] if len({one.images for one in parts}) > 1 else [])


def images(configs: Sequence[Config], dataset: str, counts: Sequence[int]) -> str:
    """Which images both networks see, and how many."""
    split = listed((str(one) for one in distinct(configs, "split")), "or")
    drawn = f", drawn by seed {shortly(distinct(configs, 'image_seed'))}" if any(distinct(configs, "images")) else ""
    number = f"{span(counts, '{:,}')} " if counts else "" if drawn else "all "
    return f"Data: {dataset}; {number}images of the {split} split{drawn}, the same for both networks."


def chances(configs: Sequence[Config], nulls: Iterable[Any]) -> Iterator[str]:
    """What the null of a number is, and its own interval over images."""
    if found := [NULLS.get(one, one) for one in map(str, dict.fromkeys(nulls))]:
        yield f"Beside each number stands its null: {listed(found, 'or else')}."
    if draws := [one for one in distinct(configs, "bootstrap") if one]:
        drawn = f"bootstrap over images, {span(draws, '{:,}')} draws, less its bias{cite('efron1993')}"
        yield f"The interval of a single number is a 95 % {drawn}."
