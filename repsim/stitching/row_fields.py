"""Owns the columns of a stitch's Row, by topic; their numbers are made in `columns`. Light: the job file puts them together."""

from pydantic import BaseModel, Field


class Accuracies(BaseModel):
    """What S scored; fractions of the test images."""

    accuracy: float | None = Field(None, description="test accuracy of the stitched network at the selected epoch")
    accuracy_last: float | None = Field(None, description="test accuracy after the last epoch")
    accuracy_unrounded: float | None = Field(
        None, description="before rounding (birkhoff, wreath) or cutting (lasso), at the selected epoch"
    )
    rounding_loss: float | None = Field(None, description="accuracy_unrounded − accuracy")
    loss: float | None = Field(None, description="mean cross-entropy on the test images at the selected epoch; null if not finite")
    loss_last: float | None = Field(None, description="the same after the last epoch")
    selected_epoch: int = Field(description="epoch that counts, from 1; 0: the start")
    validation_accuracy: float | None = Field(None, description="accuracy on the validation images at the selected epoch")
    regulariser: float | None = Field(
        None, description="alpha (birkhoff) or lasso_weight (lasso) of the stitcher, as given or as crossval chose"
    )


class Donors(BaseModel):
    """What f and g score, and what S costs beside them."""

    front_accuracy: float | None = Field(
        None, description="test accuracy of f, whatever control takes its place; null where it was made for another data set"
    )
    end_accuracy: float = Field(description="test accuracy of g, by label_map where it has one")
    penalty: float | None = Field(
        None, description="stitching penalty: (front_accuracy + end_accuracy)/2 − accuracy; null where either has another task"
    )
    penalty_end: float | None = Field(None, description="end_accuracy − accuracy (Bansal et al. 2021); null with a label_map")
    relative_accuracy: float | None = Field(
        None, description="accuracy / end_accuracy (Csiszárik et al. 2021); null with a label_map"
    )


class Controls(BaseModel):
    """What direct matching scores in the place of S, with true pairs and with shuffled ones."""

    matched_accuracy: float | None = Field(None, description="test accuracy of the family's direct-matching optimum")
    matched_penalty: float | None = Field(None, description="(front_accuracy + end_accuracy)/2 − matched_accuracy")
    matched_residual: float | None = Field(None, description="residual of the optimum as it is scored: after rounding or cutting")
    null_accuracy: float | None = Field(
        None, description="the same optimum for shuffled pairs: each image of f with another one of g"
    )
    null_penalty: float | None = Field(None, description="(front_accuracy + end_accuracy)/2 − null_accuracy")
    null_residual: float | None = Field(None, description="residual of that optimum, on true pairs")


class Likeness(BaseModel):
    """How alike the stitched network and g are: at the cut, in their answers and logits."""

    residual: float | None = Field(None, description="Σ‖S(f) − g‖² / Σ‖g − ḡ‖² at the cut, on the test images")
    residual_uncentred: float | None = Field(None, description="Σ‖S(f) − g‖² / Σ‖g‖² (Balogh & Jelasity 2025)")
    agreement: float | None = Field(None, description="share of the test images put into the same class as by g")
    front_agreement: float | None = Field(None, description="the same of f; null where it answers in other classes")
    hits_rr: float | None = Field(None, description="share of the test images that the stitched network and g both get right")
    hits_rw: float | None = Field(None, description="that the stitched network gets right and g wrong")
    hits_wr: float | None = Field(None, description="that the stitched network gets wrong and g right")
    hits_ww: float | None = Field(None, description="that both get wrong")
    cut_cka_before: float | None = Field(None, description="biased linear CKA of f's rows and g's at the cut, on the test images")
    cut_cka_after: float | None = Field(None, description="the same of S(f)'s rows and g's")
    logits_cka_before: float | None = Field(None, description="biased linear CKA of f's logits and g's, on the test images")
    logits_cka_after: float | None = Field(None, description="the same of the stitched network's logits and g's")


class Matrix(BaseModel):
    """What W is like."""

    sparsity: float | None = Field(None, description="lasso: share of the weights that are 0 after the cut at 1e-4")
    matrix_rank: int | None = Field(None, description="singular values of W above max(p, q) · 1.2e-7 of the largest")
    singular_values: list[float] | None = Field(
        None, description="of W with its scales, descending; null if wider than 2,048 on both sides"
    )


class Cost(BaseModel):
    """What was trained, on how much, in what time."""

    train_loss: float | None = Field(
        None, description="mean loss of the last epoch's steps: target and cka_reg, without l1, λ‖W‖₁, −α‖W‖; null if untrained"
    )
    epochs_run: int = Field(description="epochs trained: fewer than asked for after divergence")
    train_images: int = Field(description="training images of the stitcher")
    validation_images: int = Field(description="images held out to select the epoch")
    test_images: int = Field(description="test images scored")
    stitcher_parameters: int = Field(description="trained values of the stitcher")
    seconds: float = Field(description="the run's share of its group's wall time")
    images_per_second: float = Field(description="stitched training images of the whole group per second of its wall time")


class Robust(BaseModel):
    """What attacks leave of the networks: shares of the attacked test images; null without attack.

    An image counts as robust if it is put into the right class as it is, at the start and at every iterate. What was made
    against one network is tried on another at its last iterate.
    """

    attacked_images: int | None = Field(None, description="test images attacked")
    robust_accuracy: float | None = Field(None, description="of the stitched network under its own attack")
    front_robust_accuracy: float | None = Field(None, description="of f under its own attack")
    end_robust_accuracy: float | None = Field(None, description="of g under its own attack")
    robust_penalty: float | None = Field(None, description="(front_robust_accuracy + end_robust_accuracy)/2 − robust_accuracy")
    robust_curve: list[float] | None = Field(None, description="robust_accuracy after 0 (the start), 1, … steps of pgd")
    front_robust_curve: list[float] | None = Field(None, description="the same of f")
    end_robust_curve: list[float] | None = Field(None, description="the same of g")
    stitched_on_front: float | None = Field(None, description="accuracy of the stitched network on images made against f")
    stitched_on_end: float | None = Field(None, description="accuracy of the stitched network on images made against g")
    front_on_end: float | None = Field(None, description="accuracy of f on images made against g")
    front_on_stitched: float | None = Field(None, description="accuracy of f on images made against the stitched network")
    end_on_front: float | None = Field(None, description="accuracy of g on images made against f")
    end_on_stitched: float | None = Field(None, description="accuracy of g on images made against the stitched network")


class Shift(BaseModel):
    """How far an attack turns activations: mean cosine of an image's value, clean and attacked (1: not at all); pgd only.

    Each network under its own attack. Values are flattened and not centred.
    """

    front_cosine: float | None = Field(None, description="of f's value at front_layer")
    end_cosine: float | None = Field(None, description="of g's value at end_layer")
    stitched_cosine: float | None = Field(None, description="of S(f) at the cut")
    front_cosines: list[float] | None = Field(None, description="of f, by layer")
    end_cosines: list[float] | None = Field(None, description="of g, by layer")
    stitched_cosines: list[float] | None = Field(None, description="of the stitched network: f up to front_layer, S, g behind")
    front_cosine_layers: str | None = Field(None, description="the layers of front_cosines, with spaces between")
    end_cosine_layers: str | None = Field(None, description="the layers of end_cosines")
    stitched_cosine_layers: str | None = Field(None, description="the layers of stitched_cosines; front:, S and end: say whose")


class Truncated(BaseModel):
    """Test accuracy of the stitched network with W cut to a share of matrix_rank (to the nearest, at least 1) by its SVD."""

    accuracy_rank90: float | None = Field(None, description="90 % of the rank; null where it was not asked for")
    accuracy_rank80: float | None = Field(None, description="80 %")
    accuracy_rank70: float | None = Field(None, description="70 %")
    accuracy_rank60: float | None = Field(None, description="60 %")
    accuracy_rank50: float | None = Field(None, description="50 %")
    accuracy_rank40: float | None = Field(None, description="40 %")
    accuracy_rank30: float | None = Field(None, description="30 %")
    accuracy_rank20: float | None = Field(None, description="20 %")
    accuracy_rank10: float | None = Field(None, description="10 %")


class Elsewhere(BaseModel):
    """What is scored on the test images of eval_dataset; null where none is named."""

    eval_images: int | None = Field(None, description="test images of eval_dataset")
    eval_accuracy: float | None = Field(None, description="of the stitched network at the selected epoch, by eval_label_map")
    eval_front_accuracy: float | None = Field(None, description="of f; null where it was made for another data set")
    eval_end_accuracy: float | None = Field(None, description="of g, by eval_label_map where it has one")
    eval_penalty: float | None = Field(
        None, description="(eval_front_accuracy + eval_end_accuracy)/2 − eval_accuracy; null where either has another task"
    )
