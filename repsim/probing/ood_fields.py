"""Owns the fields by which a sweep asks whether stitched activations are out of distribution, and the columns that answer.

Light on purpose (pydantic alone): the job file puts them together, and sweeps are planned with it.
"""

from typing import Literal

from pydantic import BaseModel, Field

Kind = Literal["energy", "msp", "mahalanobis", "relative_mahalanobis"]
WORD = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"


class Detector(BaseModel):
    """What judges activations at g's end layer. It is fitted on native ones alone and never sees a stitched one."""

    detector: Kind = Field(
        "energy",
        description="energy of a classifier of activations, fine-tuned; msp: its softmax before that; Gaussians, closed form",
    )
    shrinkage: float = Field(
        1e-3, ge=0, le=1, description="mahalanobis: weight of tr(Σ)/p·I beside the covariance of the pooled activations"
    )
    sanity: str | None = Field(
        "noise", max_length=100, description="data set, or noise, blobs, jigsaw, mixed: images that g's own activations must betray"
    )


class Classifier(BaseModel):
    """energy, msp: the classifier of g's activations at the end layer, and how it is trained (Adam)."""

    classifier: str = Field(
        "fresh",
        pattern=WORD,
        description="g's layers behind the cut, drawn anew (fresh) or as they are (suffix), or an architecture",
    )
    classifier_width: int | None = Field(None, ge=1, description="width of that architecture; null: its default")
    classifier_epochs: int = Field(10, ge=0, le=10_000, description="passes over g's training activations, by their labels")
    classifier_lr: float = Field(1e-3, gt=0, le=100, description="learning rate, also at the start of the fine-tuning")
    classifier_weight_decay: float = Field(1e-5, ge=0, le=1, description="weight decay of both")
    classifier_batch_size: int = Field(128, ge=4, le=65_536, description="images per step; in the fine-tuning half are outliers")
    detector_seed: int = Field(0, ge=0, lt=2**31, description="seed of its weights and batches")


class FineTuning(BaseModel):
    """energy: the fine-tuning that gives outliers a high energy (Liu et al. 2020)."""

    finetune_epochs: int = Field(10, ge=0, le=10_000, description="passes; rate ÷ 10 from the second half on; 0: energy untuned")
    margin_in: float = Field(-25.0, description="native energies above it cost")
    margin_out: float = Field(-7.0, description="energies of outliers below it cost")
    energy_weight: float = Field(0.1, gt=0, le=1000, description="weight of these costs beside the cross-entropy")
    outliers: str = Field(
        "blobs jigsaw", max_length=1000, description="auxiliary outliers: data sets, noise, blobs, jigsaw, mixed, by spaces"
    )
    outlier_images: int | None = Field(None, ge=2, description="how many, as many of each; null: as there are native images")
    inliers: str | None = Field(None, pattern=WORD, description="data set of the native images; null: the training images of S")


class Verdict(BaseModel):
    """What the detector says. Native is the positive class; scores are energies, −log of the largest probability, or distances."""

    auroc: float | None = Field(None, description="chance that a stitched test activation scores higher than a native one")
    aupr: float | None = Field(None, description="average precision of native against stitched; 0.5 says nothing")
    fpr95: float | None = Field(None, description="share of the stitched that pass where 95 % of the native do")
    matched_auroc: float | None = Field(None, description="auroc of the family's direct-matching optimum")
    null_auroc: float | None = Field(None, description="auroc of that optimum for shuffled pairs")
    sanity_auroc: float | None = Field(None, description="auroc of g's own activations of the sanity images: must be near 1")
    sanity_fpr95: float | None = Field(None, description="share of those that pass where 95 % of the native do")
    native_split_auroc: float | None = Field(None, description="auroc of one half of the native test activations: must be near 0.5")
    stitched_score: float | None = Field(None, description="mean score of the stitched test activations")
    native_score: float | None = Field(None, description="of the native ones")
    matched_score: float | None = Field(None, description="of the direct-matching optimum's")
    null_score: float | None = Field(None, description="of that for shuffled pairs")
    sanity_score: float | None = Field(None, description="of g's own for the sanity images")
    read_accuracy: float | None = Field(
        None, description="share of the stitched test activations that the detector's classifier (nearest mean) puts right"
    )
    classifier_accuracy: float = Field(description="the same of native ones")
    native_images: int = Field(description="test images, native and stitched each")
    sanity_images: int = Field(description="sanity images")
    detector_images: int = Field(description="native images that the detector was fitted on")
    outlier_images: int = Field(description="auxiliary outliers beside them")
    classifier_parameters: int = Field(description="trained values of its classifier; Gaussians: 0")
    detector_seconds: float = Field(description="time to fit it, with what it shares with others")
