"""Owns which measures are computed from moments, by name."""

from repsim.similarity import cca, linear, matching, procrustes, regression
from repsim.similarity.measure import MomentMeasure

MOMENT_MEASURES: dict[str, MomentMeasure] = {
    "cka": linear.cka,
    "cka_debiased": linear.cka_debiased,
    "cka_angular": linear.cka_angular,
    "cca": cca.cca,
    "cca_squared": cca.cca_squared,
    "svcca": cca.svcca,
    "svcca_squared": cca.svcca_squared,
    "pwcca": cca.pwcca,
    "pwcca_reversed": cca.pwcca_reversed,
    "nbs": procrustes.nbs,
    "procrustes": procrustes.procrustes,
    "procrustes_squared": procrustes.procrustes_squared,
    "procrustes_half": procrustes.procrustes_half,
    "procrustes_angular": procrustes.procrustes_angular,
    "procrustes_scaled": procrustes.procrustes_scaled,
    "procrustes_size_and_shape": procrustes.procrustes_size_and_shape,
    "ortho_procrustes": procrustes.ortho_procrustes,
    "shape": procrustes.shape,
    "permutation_match": matching.permutation_match,
    "permutation_procrustes": matching.permutation_procrustes,
    "permutation_procrustes_squared": matching.permutation_procrustes_squared,
    "permutation_angular": matching.permutation_angular,
    "correlation_match": matching.correlation_match,
    "correlation_match_soft": matching.correlation_match_soft,
    "wreath_procrustes": matching.wreath_procrustes,
    "wreath_cosine": matching.wreath_cosine,
    "regression": regression.regression,
    "regression_reversed": regression.regression_reversed,
    "ridge": regression.ridge,
    "ridge_reversed": regression.ridge_reversed,
    "gulp": regression.gulp,
}
