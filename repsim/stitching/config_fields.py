"""Owns the fields of a stitch's Config, by topic; what they mean together is judged by `rules`.

Light on purpose (pydantic alone): the job file puts them together, and sweeps are planned with it.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from repsim.data.augmentations import Augmentation
from repsim.robustness.linf import Kind, Linf, pixels

Stitcher = Literal["linear", "lasso", "lowrank", "orthogonal", "permutation", "wreath", "birkhoff"]
Init = Literal["random", "eye", "perm", "zeros", "ones-zeros", "ps_inv", "matched"]
Mask = Literal["identity", "semi-match", "abs-semi-match", "random-permutation", "soft-match", "hard-match"]
ClassToken = Literal["pooled", "learned", "dropped", "added", "only"]
Target = Literal["hard", "soft_1", "soft_2", "soft_12", "soft_1_plus_2", "match", "latents"]
Schedule = Literal["constant", "thirds", "cosine"]
BatchNorm = Literal["frozen", "train", "reestimate"]
Control = Literal["untrained", "shuffled", "clusters", "random_clusters"]
Select = Literal["last", "validation", "test_best"]
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"  # of a data set
Pixels = Annotated[float, BeforeValidator(pixels)]


class Networks(BaseModel):
    """The two networks, and what people know them by."""

    front_network: str = Field(pattern=NAME, description="run whose network f is used up to front_layer")
    end_network: str = Field(pattern=NAME, description="run whose network g is used from end_layer on; may be f's")
    front_arch: str | None = Field(None, description="label: architecture of f")
    end_arch: str | None = Field(None, description="label: architecture of g")
    front_seed: int | None = Field(None, description="label: seed of f")
    end_seed: int | None = Field(None, description="label: seed of g")


class State(BaseModel):
    """As what f and g are taken: after which epoch, and what stands in f's place where the stitch is a negative control."""

    front_epoch: int | None = Field(None, ge=0, description="epoch after which f's training kept it; null: the network that counts")
    end_epoch: int | None = Field(None, ge=0, description="the same of g's training")
    control: Control | None = Field(
        None, description="negative control, in the place of f's values: see repsim/stitching/controls.py; null: f as it is"
    )
    control_seed: int = Field(0, ge=0, lt=2**31, description="seed of what a control draws")


class Tasks(BaseModel):
    """What the classes of images are to g, where it was made for others, and a second data set to be scored on."""

    label_map: str | None = Field(
        None, max_length=10_000, description="the class of g that each of dataset counts as: same, or '0>3 1>5 …'; null: its own"
    )
    eval_dataset: str | None = Field(None, pattern=NAME, description="data set on whose test images all is scored besides")
    eval_label_map: str | None = Field(None, max_length=10_000, description="label_map of eval_dataset")


class Cut(BaseModel):
    """Where f is cut, where g, and how a value of f becomes one of g."""

    front_layer: str = Field(min_length=1, description="layer of f whose value is stitched")
    end_layer: str = Field(min_length=1, description="layer of g whose value is replaced")
    view: Literal["channel", "flatten"] = Field(
        "channel", description="S maps channels at each position alike, or all values at once"
    )
    resize: Literal["bilinear", "nearest"] | None = Field(None, description="how f's grid becomes g's, where they differ")
    resize_at: Literal["pre", "post"] = Field("pre", description="resize before S or after it: the same function, other cost")
    class_token: ClassToken | None = Field(
        None, description="map → tokens: pooled (default), learned; back: dropped (default), added, only"
    )


class Family(BaseModel):
    """What S is, and how it starts."""

    stitcher: Stitcher = Field(description="family of S")
    init: Init = Field("random", description="start of S; ps_inv: least squares; matched: the family's direct-matching optimum")
    mask: Mask | None = Field(None, description="linear: the weights that may differ from 0, as a pattern or from correlations")
    rank: int | None = Field(None, ge=1, description="lowrank: rank of W")
    lasso_weight: float | None = Field(None, gt=0, description="lasso: λ of λ‖W‖₁; entries below 1e-4 are cut for evaluation")
    tau: float = Field(1.0, gt=0, description="wreath: temperature of the SoftSort relaxation")
    alpha: float = Field(0.1, ge=0, description="birkhoff: weight of −‖W‖, which pushes W to a permutation")
    projection: Literal["euclidean", "sinkhorn"] = Field("euclidean", description="birkhoff: nearest point, or 16 Sinkhorn sweeps")
    scales: bool = Field(False, description="birkhoff: also a non-negative scale per channel (G_ReLU); orthogonal: one scale")
    warmup: float = Field(
        0.5, ge=0, le=1, description="birkhoff with scales: share of the epochs in which they rest at their start"
    )
    alternating: bool = Field(False, description="birkhoff with scales: after the warm-up, W and scales take turns step by step")
    pgd: Literal["projection", "gradient"] = Field("projection", description="birkhoff: project after the step, or in its gradient")
    crossval: str | None = Field(
        None, max_length=200, description="values of alpha or lasso_weight ('0.01 0.1 1'): validation chooses"
    )
    ridge: float = Field(0.0, ge=0, le=1e6, description="linear, lowrank: λ of matching, in mean variances of f's channels")
    front_stitch_rank: int | None = Field(None, ge=1, description="S sees f on this many principal components, always the same")
    front_match_rank: int | None = Field(None, ge=1, description="the same for direct matching alone")
    seed: int = Field(0, ge=0, lt=2**31, description="seed of a random start or mask")


class Training(BaseModel):
    """How S is trained, and which of its epochs counts."""

    epochs: int = Field(0, ge=0, le=100_000, description="passes over the training images; 0: the start as it is")
    target: Target = Field(
        "hard", description="labels; logits of f, g, both losses, mean of both; g's value at the cut; at `latents`"
    )
    temperature: float = Field(1.0, gt=0, le=1000, description="T of the soft targets")
    latents: str | None = Field(
        None, max_length=1000, description="target latents: 'LAYER WEIGHT, …' of g behind the cut, or cut, logits"
    )
    l1: float = Field(0.0, ge=0, description="linear: adds l1 · mean|W| to the loss")
    cka_reg: float = Field(0.0, ge=-1e6, le=1e6, description="adds cka_reg · CKA(stitched value, g's own) to the loss")
    batch_size: int = Field(128, ge=2, le=65_536, description="images per step")
    optimizer: Literal["adam", "sgd"] = Field("adam", description="update rule")
    lr: float = Field(1e-3, gt=0, le=100, description="learning rate of the first epoch")
    schedule: Schedule = Field("constant", description="learning rate over the epochs; thirds: ÷10 after 1/3 and 2/3 of them")
    weight_decay: float = Field(0.0, ge=0, le=1, description="never of doubly stochastic or orthogonal weights or scores")
    momentum: float = Field(0.0, ge=0, lt=1, description="momentum of sgd")
    batchnorm: BatchNorm = Field(
        "frozen", description="of g behind the cut: as it is; of each batch; as it is, re-estimated to evaluate"
    )
    select: Select = Field(
        "validation", description="epoch whose accuracy counts; test_best peeks at the test images, as papers did"
    )


class Images(BaseModel):
    """The images that S is trained, matched, validated and tested on."""

    train_images: int | None = Field(None, ge=2, description="training images of S; null: all but the validation images")
    validation_images: int = Field(1000, ge=0, description="images held out of the training split to select the epoch")
    test_images: int | None = Field(None, ge=1, description="test images scored; null: all")
    match_images: int | None = Field(None, ge=2, description="training images used for matching; null: all of them")
    shortcut: float | None = Field(
        None, ge=0, le=1, description="a cue in every image that names its class with this probability; null: none"
    )
    data_seed: int = Field(0, ge=0, lt=2**31, description="seed of batch order and augmentation")
    augment: Augmentation = Field("none", description="random changes of the training images")
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="of f and g while S is trained; S, matching and scores stay fp32 or better"
    )


class Kept(BaseModel):
    """What is measured and kept beside S itself."""

    controls: bool = Field(
        True, description="also score the family's direct-matching optimum, and that of shuffled pairs (the null)"
    )
    save: bool = Field(False, description="keep W before and after, and the learning curve, as results/artefacts/RUN/stitcher.pt")


class Adversarial(BaseModel):
    """The attacked images that S is trained on: through the whole stitched network, in pixel space."""

    adversary: Literal["none"] | Kind = Field("none", description="train S on attacked images: Madry's loss, or that of TRADES")
    attack_ratio: float = Field(1.0, gt=0, le=1, description="madry: share of each batch that is attacked")
    beta: float = Field(1.0, ge=0, le=1e6, description="trades: weight of the divergence")
    epsilon: Pixels = Field(Linf().epsilon, gt=0, le=1, description="radius of the L∞ ball (pixels in [0, 1]), also as 8/255")
    attack_step: Pixels | None = Field(None, gt=0, le=1, description="length of an attack's step; null: a quarter of epsilon")
    attack_steps: int = Field(Linf().steps, ge=1, le=1000, description="steps of an attack while S is trained")


class Attacked(BaseModel):
    """What is measured besides: f, g and the stitched network under attack, and W cut short."""

    attack: Literal["none", "pgd", "autoattack"] = Field("none", description="attack f, g and the stitched network at the end")
    test_epsilon: Pixels | None = Field(None, gt=0, le=1, description="its radius; null: epsilon")
    test_step: Pixels | None = Field(None, gt=0, le=1, description="pgd: length of its step; null: a quarter of its radius")
    test_steps: int = Field(20, ge=1, le=10_000, description="pgd: its steps, from one random start")
    test_seed: int = Field(0, ge=0, lt=2**31, description="seed of its random starts")
    attacked_images: int | None = Field(None, ge=1, description="test images attacked; null: all that are scored")
    truncations: bool = Field(False, description="also score S with W at 90, 80, … 10 % of its rank")
