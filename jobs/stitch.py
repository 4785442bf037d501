"""Stitch two trained networks: g after its end layer ∘ S ∘ f up to its front layer, with f and g frozen.

One group is one pair of networks on the same batches: all its stitchers share the forward passes of f and g.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from operator import attrgetter
from time import perf_counter
from typing import Any, ClassVar, Literal

from pydantic import Field

from repsim.data import sources
from repsim.data.augmentations import Augmentation
from repsim.job import NAME, STITCHER, Context, JobConfig, JobRow, RunId
from repsim.stitching import rules

VERSION = 2
RESUMES = True
PRIOR_RATE = 4e-5  # seconds per image passed through one stitched network, a guess for one GPU until runs are measured
Stitcher = Literal["linear", "lasso", "lowrank", "orthogonal", "permutation", "wreath", "birkhoff"]
Init = Literal["random", "eye", "perm", "zeros", "ones-zeros", "ps_inv", "matched"]
Mask = Literal["identity", "semi-match", "abs-semi-match", "random-permutation", "soft-match", "hard-match"]
ClassToken = Literal["pooled", "learned", "dropped", "added", "only"]
Target = Literal["hard", "soft_1", "soft_2", "soft_12", "soft_1_plus_2", "match", "latents"]
Schedule = Literal["constant", "thirds", "cosine"]
BatchNorm = Literal["frozen", "train", "reestimate"]
Control = Literal["untrained", "shuffled", "clusters", "random_clusters"]
Select = Literal["last", "validation", "test_best"]


class Config(JobConfig):
    """One stitcher between two layers of two networks."""

    labels: ClassVar[frozenset[str]] = frozenset({"front_arch", "end_arch", "front_seed", "end_seed"})
    apart: ClassVar[frozenset[str]] = frozenset({"front_network", "end_network", "seed", "data_seed"})

    front_network: RunId = Field(pattern=NAME, description="run whose network f is used up to front_layer")
    end_network: RunId = Field(pattern=NAME, description="run whose network g is used from end_layer on")
    front_arch: str | None = Field(None, description="label: architecture of f")
    end_arch: str | None = Field(None, description="label: architecture of g")
    front_seed: int | None = Field(None, description="label: seed of f")
    end_seed: int | None = Field(None, description="label: seed of g")
    dataset: str = Field(pattern=NAME, description="data set to train, validate and test the stitcher on")
    front_epoch: int | None = Field(None, ge=0, description="epoch after which f's training kept it; null: the network that counts")
    end_epoch: int | None = Field(None, ge=0, description="the same of g's training")
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
    train_images: int | None = Field(None, ge=2, description="training images of S; null: all but the validation images")
    validation_images: int = Field(1000, ge=0, description="images held out of the training split to select the epoch")
    test_images: int | None = Field(None, ge=1, description="test images scored; null: all")
    match_images: int | None = Field(None, ge=2, description="training images used for matching; null: all of them")
    data_seed: int = Field(0, ge=0, lt=2**31, description="seed of batch order and augmentation")
    augment: Augmentation = Field("none", description="random changes of the training images")
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="of f and g while S is trained; S, matching and scores stay fp32 or better"
    )
    controls: bool = Field(
        True, description="also score the family's direct-matching optimum, and that of shuffled pairs (the null)"
    )
    control: Control | None = Field(
        None, description="negative control, in the place of f's values: see repsim/stitching/controls.py; null: f as it is"
    )
    control_seed: int = Field(0, ge=0, lt=2**31, description="seed of what a control draws")
    save: bool = Field(False, description="keep W before and after, and the learning curve, as results/artefacts/RUN/stitcher.pt")

    def refusals(self) -> Iterable[tuple[bool, str]]:
        """What cannot be meant."""
        rules.must_be_readable(self)
        return rules.refusals(self)


class Row(JobRow):
    """What one stitcher scored. Accuracies are fractions of the test images; null where the run diverged or it has no meaning."""

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
    front_accuracy: float = Field(description="test accuracy of f, whatever control takes its place")
    end_accuracy: float = Field(description="test accuracy of g")
    penalty: float | None = Field(None, description="stitching penalty: (front_accuracy + end_accuracy)/2 − accuracy")
    penalty_end: float | None = Field(None, description="end_accuracy − accuracy (Bansal et al. 2021)")
    relative_accuracy: float | None = Field(None, description="accuracy / end_accuracy (Csiszárik et al. 2021)")
    matched_accuracy: float | None = Field(None, description="test accuracy of the family's direct-matching optimum")
    matched_penalty: float | None = Field(None, description="(front_accuracy + end_accuracy)/2 − matched_accuracy")
    matched_residual: float | None = Field(None, description="residual of the optimum as it is scored: after rounding or cutting")
    null_accuracy: float | None = Field(
        None, description="the same optimum for shuffled pairs: each image of f with another one of g"
    )
    null_penalty: float | None = Field(None, description="(front_accuracy + end_accuracy)/2 − null_accuracy")
    null_residual: float | None = Field(None, description="residual of that optimum, on true pairs")
    residual: float | None = Field(None, description="Σ‖S(f) − g‖² / Σ‖g − ḡ‖² at the cut, on the test images")
    residual_uncentred: float | None = Field(None, description="Σ‖S(f) − g‖² / Σ‖g‖² (Balogh & Jelasity 2025)")
    agreement: float | None = Field(None, description="share of the test images put into the same class as by g")
    front_agreement: float = Field(description="the same of f")
    hits_rr: float | None = Field(None, description="share of the test images that the stitched network and g both get right")
    hits_rw: float | None = Field(None, description="that the stitched network gets right and g wrong")
    hits_wr: float | None = Field(None, description="that the stitched network gets wrong and g right")
    hits_ww: float | None = Field(None, description="that both get wrong")
    cut_cka_before: float | None = Field(None, description="biased linear CKA of f's rows and g's at the cut, on the test images")
    cut_cka_after: float | None = Field(None, description="the same of S(f)'s rows and g's")
    logits_cka_before: float | None = Field(None, description="biased linear CKA of f's logits and g's, on the test images")
    logits_cka_after: float | None = Field(None, description="the same of the stitched network's logits and g's")
    sparsity: float | None = Field(None, description="lasso: share of the weights that are 0 after the cut at 1e-4")
    matrix_rank: int | None = Field(None, description="singular values of W above max(p, q) · 1.2e-7 of the largest")
    singular_values: list[float] | None = Field(
        None, description="of W with its scales, descending; null if wider than 2,048 on both sides"
    )
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


def inputs(config: Config) -> list[RunId]:
    """The two networks."""
    return [config.front_network, config.end_network]


def group_key(config: Config) -> Hashable:
    """Runs that can share batches, forward passes and test images."""
    return KEY(config)


def work(config: Config) -> float:
    """Images passed through the stitched network: trained on, validated and tested."""
    source = sources.get(config.dataset)
    trained = config.train_images or source.train_images - config.validation_images
    tested = config.test_images or source.test_images
    candidates = len(rules.candidates_of(config.crossval)) or 1
    return candidates * config.epochs * (trained + config.validation_images) + tested


def check(config: Config, catalog: Any) -> None:
    """Raise UserError for a data set that is missing, too small or of other networks, and layers that cannot be joined so."""
    sources.must_have_classes(config.dataset)
    sources.must_be_there(config.dataset, catalog.data_folders)
    source = sources.get(config.dataset)
    rules.check_images(config, source)
    for network in inputs(config):
        rules.check_fit(source, catalog.network(network))
    rules.check_epoch("front_epoch", config.front_epoch, catalog.kept(config.front_network))
    rules.check_epoch("end_epoch", config.end_epoch, catalog.kept(config.end_network))
    front, _ = rules.layer(catalog.network_layers(config.front_network), config.front_layer, "front_layer")
    end, behind = rules.layer(catalog.network_layers(config.end_network), config.end_layer, "end_layer")
    rules.check(config, front, end, behind)


def run(configs: Sequence[Config], context: Context) -> Iterator[Row]:
    """Start, train and measure all stitchers of one pair of networks; one row each."""
    from repsim.models import allocator
    from repsim.stitching import configured, feeding
    from repsim.stitching.columns import columns
    from repsim.stitching.group import measure
    from repsim.stitching.resume import Resume

    started, shared = perf_counter(), configs[0]
    allocator.keep_freed_memory(context.device)
    pair, splits = configured.pair(configs, context.artefacts, context.device), configured.splits(shared, context)
    configured.control_(pair, shared, splits)
    feeding.check_fit(pair, splits)
    batches = feeding.expected_batches(splits, shared.batch_size, max(config.epochs for config in configs))
    progress = feeding.Progress(context.tick, batches, context.steps)
    order = feeding.ordering(splits, shared.batch_size, shared.data_seed, progress)
    feed = feeding.feed(splits, shared.batch_size, shared.augment, order, progress)
    asked = [configured.asked(config, context.run_id(config)) for config in configs]
    keys = sorted(want.key for want in asked)
    resume = Resume(context.artefacts / keys[0] / "resume.pt", [want.key for want in asked], order)
    results = measure(pair, feed, asked, shared.batchnorm, resume=None if context.steps else resume)
    seconds = perf_counter() - started + resume.spent
    for config, each in zip(configs, results.measured, strict=True):
        if config.save:
            configured.keep(each, config.model_dump(), context.artefact(each.run.key, STITCHER))
        yield Row(
            run_id=each.run.key,
            outcome="diverged" if each.run.diverged else "ok",
            **columns(each, results),
            train_images=len(splits.train),
            validation_images=0 if splits.validation is None else len(splits.validation),
            test_images=results.images,
            seconds=seconds / len(configs),
            images_per_second=results.epochs_run * len(splits.train) / seconds,
        )
    resume.remove()


SHARED = (
    "front_network",
    "end_network",
    "front_epoch",
    "end_epoch",
    "control",
    "control_seed",
    "dataset",
    "batch_size",
    "batchnorm",
    "data_seed",
    "augment",
    "precision",
)
IMAGES = ("train_images", "validation_images", "test_images", "match_images")
KEY = attrgetter(*SHARED, *IMAGES)
