"""Owns the convention of a number: all that decides what it means, as one readable key. Equal keys, comparable numbers.

Light on purpose: reports explain numbers with it.
"""

from repsim.similarity.known import KNOWN
from repsim.similarity.request import Request, Value

CENTRED = "rows centred"
RAW = "rows not centred"
ESTIMATORS = {
    "cka": f"{CENTRED}, HSIC₀ (biased), ratio",
    "cka_debiased": f"{CENTRED}, HSIC₁ (images never meet themselves), ratio",
    "cka_angular": f"{CENTRED}, HSIC₀ (biased), arccos of the ratio",
    "cka_minibatch": f"{CENTRED}, HSIC₁ summed over batches, then one ratio",
    "cka_rbf": "kernel centred, HSIC₀ (biased), σ = bandwidth × √median of all squared distances of 2,000 images at most",
    "cka_rbf_debiased": "kernel U-centred, HSIC₁, σ = bandwidth × √median of all squared distances of 2,000 images at most",
    "cca": f"{CENTRED}, mean ρ over min(rank)",
    "cca_squared": f"{CENTRED}, mean ρ² over min(rank)",
    "svcca": f"{CENTRED}, components of a share of the variance, mean ρ",
    "svcca_squared": f"{CENTRED}, components of a share of the variance, mean ρ²",
    "pwcca": f"{CENTRED}, ρ weighted by projections of f",
    "pwcca_reversed": f"{CENTRED}, ρ weighted by projections of g",
    "nbs": f"{CENTRED}, unit norm, ν",
    "procrustes": f"{CENTRED}, unit norm, √(2 − 2ν)",
    "procrustes_squared": f"{CENTRED}, unit norm, 2 − 2ν",
    "procrustes_half": f"{CENTRED}, unit norm, 1 − ν",
    "procrustes_angular": f"{CENTRED}, unit norm, arccos ν",
    "procrustes_scaled": f"{CENTRED}, unit norm, 1 − ν²",
    "procrustes_size_and_shape": f"{CENTRED}, √(‖x‖² + ‖y‖² − 2‖S‖_*)",
    "ortho_procrustes": f"{RAW}, unit norm, 1 − √(2 − 2ν)/2",
    "shape": f"{CENTRED}, partial whitening, arccos ν",
    "permutation_match": f"{CENTRED}, unit norm, best assignment a",
    "permutation_procrustes": f"{CENTRED}, unit norm, √(2 − 2a)",
    "permutation_procrustes_squared": f"{CENTRED}, unit norm, 2 − 2a",
    "permutation_angular": f"{CENTRED}, unit norm, arccos a",
    "correlation_match": "correlations of channels, best assignment, mean",
    "correlation_match_soft": "correlations of channels, mean of row and column maxima",
    "wreath_procrustes": f"{RAW}, channels of unit norm, best assignment, 1 − d",
    "wreath_cosine": f"{RAW}, channels of unit norm, best assignment, mean cosine",
    "regression": f"{CENTRED}, R² of least squares f → g",
    "regression_reversed": f"{CENTRED}, R² of least squares g → f",
    "ridge": f"{CENTRED}, R² of ridge f → g, λ in mean variances",
    "ridge_reversed": f"{CENTRED}, R² of ridge g → f, λ in mean variances",
    "gulp": f"{CENTRED}, squared distance of ridge predictors, λ in mean variances",
    "wreath_cka": "kernel over channels of unit norm, U-centred, HSIC₁",
    "wreath_cka_biased": "kernel over channels of unit norm, centred, HSIC₀",
    "ortho_cka": "channels centred and of unit norm, U-centred, HSIC₁",
    "distance_correlation": "distances centred, biased, square root of the ratio",
    "distance_correlation_debiased": "distances U-centred, ratio of squared covariances",
    "rsa": "upper triangle of dissimilarities",
    "mutual_knn": "neighbours without the image itself, shared share",
    "jaccard": "neighbours without the image itself, intersection over union",
    "cknna": "rows of length 1, cosines U-centred, ratio over shared neighbours",
    "l2": "as they are, mean over images",
    "sign_overlap": "as they are, above 0 or not",
    "agreement": "class of the greatest logit",
    "jensen_shannon": "softmax, bits, mean over images",
    "accuracy_difference": "share of right answers",
}
"""Measure → centring, normalisation and estimator."""


def key(asked: Request, images: int, sample: str, products: str = "fp32") -> str:
    """The convention of one number over so many images with this hash; its products were taken in `products`."""
    parts = [asked.measure, ESTIMATORS[asked.measure], *_options(asked)]
    if KNOWN[asked.measure].family != "outputs":
        parts += [f"view {asked.view}", *([f"grids by {asked.align}"] if asked.align else []), *_ranks(asked)]
        parts.append(f"{products} products, fp64 sums")
    return " · ".join([*parts, f"n {images}", f"images {sample}"])


def _options(asked: Request) -> list[str]:
    return [f"{name} {value}" for name, value in asked.options]


def _ranks(asked: Request) -> list[str]:
    said: list[tuple[str, Value]] = [("f", asked.front), ("g", asked.end)]
    return [f"{side} of rank {value.rank}" for side, value in said if value.rank is not None]
