"""Owns what a column means where its description leans on the fields around it: in a dictionary each column stands alone.

A test holds that every description that leans has its words here, and that none stands here without need.
"""

import re

LEANS = re.compile(
    r"(label: )?(the same|its |that |of (f|g|S|W|that|the|it)\b|both |after |before |\d+ %|share of those|diverged: )"
)
"""How descriptions begin that say too little alone."""

STITCHED = "test accuracy of the stitched network"
ROBUST = "share of the attacked test images that {} puts into the right class as they are, at the start and at every iterate of {}"
CURVE = "robust accuracy of {} after 0 (the start), 1, … steps of pgd against itself"
COSINE = "mean cosine of {} of an image and of the same image attacked by pgd (1: not turned at all)"
FINAL = "; null without pgd"
SCORE = "mean score that the detector gives {}"

MEANINGS: dict[str, str] = {
    "outcome": "ok; diverged: the loss or the weights were not finite, or the start to be trained from was not found; "
    "missing: not finished, only in a file that was asked for such lines",
    "accuracy_unrounded": f"{STITCHED} before S is rounded (birkhoff, wreath) or cut (lasso), at the selected epoch",
    "loss_last": "mean cross-entropy of the stitched network on the test images after the last epoch; null if not finite",
    "null_accuracy": f"{STITCHED} where S is the family's direct-matching optimum for shuffled pairs: "
    "each image of f with another one of g",
    "front_agreement": "share of the test images that f puts into the same class as g; null where f answers in other classes",
    "hits_rw": "share of the test images that the stitched network gets right and g wrong",
    "hits_wr": "share of the test images that the stitched network gets wrong and g right",
    "hits_ww": "share of the test images that the stitched network and g both get wrong",
    "cut_cka_after": "biased linear CKA of S(f)'s rows and g's at the cut, on the test images",
    "logits_cka_after": "biased linear CKA of the stitched network's logits and g's, on the test images",
    "singular_values": "singular values of W with its scales, descending; null if wider than 2,048 on both sides",
    "robust_accuracy": ROBUST.format("the stitched network", "an attack on itself; null without attack"),
    "front_robust_accuracy": ROBUST.format("f", "an attack on f; null without attack"),
    "end_robust_accuracy": ROBUST.format("g", "an attack on g; null without attack"),
    "front_robust_curve": CURVE.format("f"),
    "end_robust_curve": CURVE.format("g"),
    "front_cosine": COSINE.format("f's value at front_layer") + FINAL,
    "end_cosine": COSINE.format("g's value at end_layer") + FINAL,
    "stitched_cosine": COSINE.format("S(f) at the cut") + FINAL,
    "front_cosines": COSINE.format("f's values") + ", by layer: see front_cosine_layers",
    "end_cosines": COSINE.format("g's values") + ", by layer: see end_cosine_layers",
    "stitched_cosines": COSINE.format("the stitched network's values") + ", by layer: see stitched_cosine_layers",
    **{
        f"accuracy_rank{share}": f"{STITCHED} with W cut to {share} % of matrix_rank (to the nearest, at least 1) by its SVD; "
        "null where it was not asked for"
        for share in range(10, 100, 10)
    },
    "eval_accuracy": "accuracy of the stitched network at the selected epoch on the test images of eval_dataset",
    "eval_front_accuracy": "accuracy of f on the test images of eval_dataset; null where f was made for another data set",
    "eval_end_accuracy": "accuracy of g on the test images of eval_dataset, by eval_label_map where it has one",
    "end_made": "label: how g was trained, or the collection it was imported in",
    "end_dataset": "label: the data set that g was made for",
    "end_epoch": "epoch after which g's training kept it; null: the network that counts",
    "end_rank": "g's layer is replaced by its best approximation of this rank",
    "front_match_rank": "direct matching sees f on this many principal components",
    "batchnorm": "BatchNorm of g behind the cut: as it is; of each batch; as it is, re-estimated to evaluate",
    "precision": "arithmetic of f and g while S is trained; S, matching and scores stay fp32 or better",
    "test_epsilon": "radius of the attack by which the networks are scored; null: epsilon",
    "arch": "label: architecture of the network",
    "seed": "label: seed of the network",
    "compare.high": "upper end of the 95 % interval of the bootstrap over images",
    "low_rank.null": "value where images of f stand beside labels, or values of g, of other images; task: none",
    "sanity_fpr95": "share of the sanity images' activations that pass where 95 % of the native do",
    "native_score": SCORE.format("native test activations"),
    "matched_score": SCORE.format("test activations stitched by the family's direct-matching optimum"),
    "null_score": SCORE.format("test activations stitched by that optimum for shuffled pairs"),
    "sanity_score": SCORE.format("g's own activations of the sanity images"),
    "classifier_accuracy": "share of the native test activations that the detector's classifier (nearest mean) puts right",
    "rotate.accuracy": "test accuracy of the rotated network at the selected epoch",
    "rotate.loss": "mean cross-entropy of the rotated network on the test images; null if not finite",
    "rotate.control_accuracy": "test accuracy of the same retraining with nothing inserted, at its own selected epoch",
    "rotate.original_accuracy": "test accuracy of the network as it is",
    "rotate.condition": "largest over smallest singular value of the matrix",
}
"""By column, or by job.column where jobs differ."""

REFERENCES: dict[str, str] = {
    "stitch.accuracy": "Lenc & Vedaldi 2015; Bansal et al. 2021",
    "rotate.penalty": "Godfrey et al. 2022",
    "rotate.penalty_original": "Godfrey et al. 2022",
}
"""Papers that neither the description nor the docstring around it names."""


def meaning(job: str, column: str, description: str) -> str:
    """What stands in the dictionary: the description, unless it leans on others."""
    if not LEANS.match(description):
        return description
    return MEANINGS.get(f"{job}.{column}", MEANINGS.get(column, description))
