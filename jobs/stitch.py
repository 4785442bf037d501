"""Stitch two trained networks: g after its end layer ∘ S ∘ f up to its front layer, with f and g frozen.

One group is one pair of networks on the same batches: all its stitchers share the forward passes of f and g.
"""

from collections.abc import Hashable, Iterator, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from repsim.data import sources
from repsim.errors import SpecError, nearest
from repsim.job import NAME, Context, JobConfig, JobRow, RunId

if TYPE_CHECKING:
    from repsim.data.splits import Splits
    from repsim.stitching.group import Asked
    from repsim.stitching.pair import Pair

VERSION = 1
PRIOR_RATE = 4e-5  # seconds per image passed through one stitched network, a guess for one GPU until runs are measured

INITS = {
    "linear": ("random", "eye", "perm", "ps_inv", "matched"),
    "lowrank": ("random", "matched"),
    "permutation": ("eye", "perm", "matched"),
    "birkhoff": ("random", "eye", "perm", "matched"),
}


class Config(JobConfig):
    """One stitcher between two layers of two networks."""

    labels: ClassVar[frozenset[str]] = frozenset({"front_arch", "end_arch", "front_seed", "end_seed"})

    front_network: RunId = Field(pattern=NAME, description="run whose network f is used up to front_layer")
    end_network: RunId = Field(pattern=NAME, description="run whose network g is used from end_layer on")
    front_arch: str | None = Field(None, description="label: architecture of f")
    end_arch: str | None = Field(None, description="label: architecture of g")
    front_seed: int | None = Field(None, description="label: seed of f")
    end_seed: int | None = Field(None, description="label: seed of g")
    dataset: str = Field(pattern=NAME, description="data set to train, validate and test the stitcher on")
    front_layer: str = Field(min_length=1, description="layer of f whose value is stitched")
    end_layer: str = Field(min_length=1, description="layer of g whose value is replaced")
    stitcher: Literal["linear", "lowrank", "permutation", "birkhoff"] = Field(description="family of S")
    init: Literal["random", "eye", "perm", "ps_inv", "matched"] = Field(
        "random", description="start of S; ps_inv: least squares; matched: the direct-matching optimum of the family"
    )
    rank: int | None = Field(None, ge=1, description="rank of a lowrank stitcher")
    alpha: float = Field(0.1, ge=0, description="birkhoff: weight of −‖W‖, which pushes W to a permutation")
    projection: Literal["euclidean", "sinkhorn"] = Field(
        "euclidean", description="birkhoff: nearest doubly stochastic matrix, or clamp and 16 Sinkhorn sweeps"
    )
    scales: bool = Field(False, description="birkhoff: also a non-negative scale per channel (G_ReLU), trained in the second half")
    seed: int = Field(0, ge=0, lt=2**31, description="seed of a random start")
    epochs: int = Field(
        0, ge=0, le=100_000, description="passes over the training images; 0: direct matching, or the start as it is"
    )
    batch_size: int = Field(128, ge=2, le=65_536, description="images per step")
    optimizer: Literal["adam", "sgd"] = Field("adam", description="update rule")
    lr: float = Field(1e-3, gt=0, le=100, description="learning rate, the same for all steps")
    weight_decay: float = Field(0.0, ge=0, le=1, description="weight decay; birkhoff stitchers are left out of it")
    momentum: float = Field(0.0, ge=0, lt=1, description="momentum of sgd")
    batchnorm: Literal["frozen", "reestimate"] = Field(
        "frozen", description="batch norm of g when S is evaluated: its own, or re-estimated on the training images"
    )
    select: Literal["last", "validation"] = Field("validation", description="epoch whose accuracy counts")
    train_images: int | None = Field(None, ge=2, description="training images of S; null: all but the validation images")
    validation_images: int = Field(1000, ge=0, description="images held out of the training split to select the epoch")
    test_images: int | None = Field(None, ge=1, description="test images scored; null: all")
    match_images: int | None = Field(None, ge=2, description="training images used for matching; null: all of them")
    data_seed: int = Field(0, ge=0, lt=2**31, description="seed of batch order and augmentation")
    augment: Literal["none", "flip", "crop_flip"] = Field("none", description="random changes of the training images")

    @model_validator(mode="after")
    def _makes_sense(self) -> "Config":
        why = next((why for refused, why in _refusals(self) if refused), None)
        if why:
            raise ValueError(why)
        return self


class Row(JobRow):
    """What one stitcher scored. Accuracies are fractions of the test images; null where the run diverged."""

    accuracy: float | None = Field(None, description="test accuracy of the stitched network at the selected epoch")
    accuracy_last: float | None = Field(None, description="test accuracy after the last epoch")
    accuracy_unrounded: float | None = Field(None, description="birkhoff: at the selected epoch, before rounding")
    rounding_loss: float | None = Field(None, description="birkhoff: accuracy_unrounded − accuracy")
    loss: float | None = Field(None, description="mean cross-entropy on the test images at the selected epoch; null if not finite")
    loss_last: float | None = Field(None, description="the same after the last epoch")
    selected_epoch: int = Field(description="epoch that counts, from 1; 0: the start")
    validation_accuracy: float | None = Field(None, description="accuracy on the validation images at the selected epoch")
    front_accuracy: float = Field(description="test accuracy of f")
    end_accuracy: float = Field(description="test accuracy of g")
    penalty: float | None = Field(None, description="stitching penalty: (front_accuracy + end_accuracy)/2 − accuracy")
    penalty_end: float | None = Field(None, description="end_accuracy − accuracy (Bansal et al. 2021)")
    relative_accuracy: float | None = Field(None, description="accuracy / end_accuracy (Csiszárik et al. 2021)")
    residual: float | None = Field(None, description="Σ‖S(f) − g‖² / Σ‖g − ḡ‖² at the cut, on the test images")
    agreement: float | None = Field(None, description="share of the test images put into the same class as by g")
    train_loss: float | None = Field(None, description="mean loss of the last epoch's steps; null if nothing was trained")
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
    return tuple(getattr(config, field) for field in SHARED + IMAGES)


def work(config: Config) -> float:
    """Images passed through the stitched network: trained on, validated and tested."""
    source = sources.get(config.dataset)
    trained = config.train_images or source.train_images - config.validation_images
    tested = config.test_images or source.test_images
    return config.epochs * (trained + config.validation_images) + tested


def check(config: Config, catalog: Any) -> None:
    """Raise UserError for a missing data set, unknown layers, and layers that the stitcher cannot join."""
    sources.must_be_there(config.dataset, catalog.data_folders)
    _check_images(config)
    front = _shape(catalog.network_layers(config.front_network), config.front_layer, "front_layer")
    end = _shape(catalog.network_layers(config.end_network), config.end_layer, "end_layer")
    shapes = f"{front} at '{config.front_layer}' and {end} at '{config.end_layer}'"
    if front[1:] != end[1:]:
        raise SpecError(f"the layers have other spatial sizes: {shapes}", where="end_layer", do="choose layers of the same size")
    if front[0] != end[0] and config.stitcher in ("permutation", "birkhoff"):
        what = f"a {config.stitcher} stitcher needs equal widths: {shapes}"
        raise SpecError(what, where="stitcher", do="choose layers of equal width, or a linear or lowrank stitcher")
    if config.rank is not None and config.rank > min(front[0], end[0]):
        what = f"rank {config.rank} is above the width of a layer: {shapes}"
        raise SpecError(what, where="rank", do=f"choose 1 to {min(front[0], end[0])}")


def run(configs: Sequence[Config], context: Context) -> Iterator[Row]:
    """Start, train and measure all stitchers of one pair of networks; one row each."""
    from repsim.stitching import feeding
    from repsim.stitching.group import columns, measure

    started, shared = perf_counter(), configs[0]
    pair, splits = _pair(configs, context), _divide(shared, context)
    feeding.check_fit(pair, splits)
    batches = feeding.expected_batches(splits, shared.batch_size, max(config.epochs for config in configs))
    progress = feeding.Progress(context.tick, batches, context.steps)
    feed = feeding.feed(splits, shared.batch_size, shared.augment, shared.data_seed, progress)
    results = measure(pair, feed, [_asked(config, context) for config in configs], shared.batchnorm)
    seconds = perf_counter() - started
    for each in results.measured:
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


def _pair(configs: Sequence[Config], context: Context) -> "Pair":
    from repsim.models import checkpoint
    from repsim.stitching.pair import Pair

    front, end = (
        checkpoint.load(context.artefacts / run_id / "network.pt").to(context.device)
        for run_id in (configs[0].front_network, configs[0].end_network)
    )
    return Pair(front, end, [config.front_layer for config in configs], [config.end_layer for config in configs])


def _divide(config: Config, context: Context) -> "Splits":
    from repsim.data.splits import divide

    return divide(
        config.dataset,
        context.data_folders,
        context.cache,
        context.device,
        train=config.train_images,
        match=config.match_images,
        validation=config.validation_images,
        test=config.test_images,
    )


def _asked(config: Config, context: Context) -> "Asked":
    from repsim.stitching.group import Asked
    from repsim.stitching.runs import Training

    return Asked(
        key=context.run_id(config),
        front_layer=config.front_layer,
        end_layer=config.end_layer,
        stitcher=config.stitcher,
        init=config.init,
        seed=config.seed,
        training=Training(config.epochs, config.optimizer, config.lr, config.weight_decay, config.momentum),
        select=config.select,
        options={name: getattr(config, name) for name in OPTIONS[config.stitcher]},
    )


def _check_images(config: Config) -> None:
    there = sources.get(config.dataset).train_images
    wanted = (config.train_images or 2) + config.validation_images
    if wanted > there:
        what = f"{wanted} images are wanted for training and validation, but '{config.dataset}' has {there}"
        raise SpecError(what, where="train_images, validation_images", do="ask for fewer")


def _shape(sheet: Any, layer: str, field: str) -> tuple[int, ...]:
    shapes = {row["name"]: tuple(row["shape"]) for row in sheet}
    if layer not in shapes:
        raise SpecError(f"there is no layer '{layer}'", where=field, do=nearest(layer, shapes))
    return shapes[layer]


def _refusals(c: Config) -> Iterator[tuple[bool, str]]:
    """What cannot be meant, field by field. Defaults pass everywhere, so that a sweep may fix values for all its cases."""
    inits = INITS[c.stitcher]
    birkhoff = c.stitcher == "birkhoff"
    yield c.init not in inits, f"init: a {c.stitcher} stitcher has no '{c.init}'; choose {' or '.join(inits)}"
    yield c.stitcher == "lowrank" and c.rank is None, "rank: a lowrank stitcher needs one"
    yield c.stitcher != "lowrank" and c.rank is not None, f"rank: a {c.stitcher} stitcher has none"
    yield not birkhoff and c.alpha != 0.1, f"alpha: a {c.stitcher} stitcher has none"
    yield not birkhoff and c.projection != "euclidean", f"projection: a {c.stitcher} stitcher has none"
    yield not birkhoff and c.scales, f"scales: a {c.stitcher} stitcher has none"
    yield c.stitcher == "permutation" and c.epochs > 0, "epochs: a permutation stitcher has nothing to train, say 0"
    yield c.init == "random" and c.epochs == 0, "epochs: a random start must be trained"
    yield c.optimizer != "sgd" and c.momentum > 0, "momentum: only sgd has it"
    yield c.epochs > 0 and c.select == "validation" and c.validation_images == 0, "select: validation needs validation_images"


OPTIONS = {"linear": (), "lowrank": ("rank",), "permutation": (), "birkhoff": ("alpha", "projection", "scales")}
SHARED = ("front_network", "end_network", "dataset", "batch_size", "batchnorm", "data_seed", "augment")
IMAGES = ("train_images", "validation_images", "test_images", "match_images")
