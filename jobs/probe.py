"""Probe one layer of one network: how well a linear map of its activations names the class.

One group is one network on the same images: all its layers, ranks and λ share the forward passes, and those trained share batches.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from time import perf_counter
from typing import Any, ClassVar, Literal

from pydantic import Field

from repsim.data import sources
from repsim.job import NAME, Context, JobConfig, JobRow, RunId
from repsim.probing import rules
from repsim.similarity import fit
from repsim.similarity import rules as comparing
from repsim.stitching.rules import check_epoch, check_fit

VERSION = 1
PRIOR_RATE = 1.0  # seconds that a run takes for each that it is reckoned at, until runs are measured
SPEED = {"cpu": 2e10, "cuda": 1e13}  # operations a second of one core and of one GPU, as plans count them
NUMBER_S, GROUP_S = 0.02, 1.0  # seconds around the operations: of one probe, of a group (network, images)
STEP_S = 5e-4  # of one step of the probes of one layer that are trained alike
ALSO_LAYERS = ("logits",)  # what a sweep may name beside the layers of a network


class Config(JobConfig):
    """One linear probe of one layer."""

    labels: ClassVar[frozenset[str]] = frozenset({"arch", "made", "seed"})
    apart: ClassVar[frozenset[str]] = frozenset({"network"})

    network: RunId = Field(pattern=NAME, description="run whose network is probed")
    arch: str | None = Field(None, description="label: its architecture")
    made: str | None = Field(None, description="label: how it was trained, or the collection it was imported in")
    seed: int | None = Field(None, description="label: its seed")
    epoch: int | None = Field(None, ge=0, description="epoch after which its training kept it; null: the network that counts")
    dataset: str = Field(pattern=NAME, description="data set whose classes are to be named, of the network's size and classes")
    layer: str = Field(min_length=1, description="layer that is probed; logits: its output")
    view: Literal["pool", "class", "mean", "flatten"] | None = Field(
        None, description="how an activation becomes a row; null: pooled maps, the class token, the mean of tokens without one"
    )
    rank: int | None = Field(None, ge=1, description="the layer is replaced by its best approximation of this rank; null: as it is")
    fit: Literal["ridge", "sgd"] = Field("ridge", description="ridge regression of one-hot labels, exactly; a softmax, trained")
    ridge: float | None = Field(
        None, gt=0, le=1e6, description="ridge: λ in mean variances of a row's values; null: validation chooses, 1e-8 to 100"
    )
    epochs: int = Field(10, ge=1, le=100_000, description="sgd: passes over the training images")
    batch_size: int = Field(256, ge=1, le=65_536, description="sgd: images per step")
    optimizer: Literal["adam", "sgd"] = Field("adam", description="sgd: update rule")
    lr: float = Field(1e-3, gt=0, le=100, description="sgd: learning rate of the first epoch")
    momentum: float = Field(0.0, ge=0, lt=1, description="sgd: momentum of the optimizer sgd")
    weight_decay: float = Field(0.0, ge=0, le=1, description="sgd: of the weights, never of the bias")
    schedule: Literal["constant", "thirds", "cosine"] = Field(
        "constant", description="sgd: learning rate over the epochs; thirds: ÷10 after 1/3 and 2/3 of them"
    )
    probe_seed: int = Field(0, ge=0, lt=2**31, description="sgd: seed of the random start")
    data_seed: int = Field(0, ge=0, lt=2**31, description="sgd: seed of the order of the images")
    train_images: int | None = Field(None, ge=2, description="training images of the probe; null: all but the validation images")
    validation_images: int = Field(1000, ge=0, description="images held out of the training split, by which λ is chosen")
    test_images: int | None = Field(None, ge=1, description="test images scored; null: all")

    def refusals(self) -> Iterable[tuple[bool, str]]:
        """What cannot be meant."""
        return rules.refusals(self)


class Row(JobRow):
    """What one probe scored on the test images. Accuracies are fractions of them."""

    accuracy: float | None = Field(None, description="share of the test images put into the right class; null where it diverged")
    brier: float | None = Field(None, description="mean squared distance of outputs (sgd: of their softmax) to one-hot labels")
    loss: float | None = Field(None, description="sgd: mean cross-entropy; null for ridge, whose outputs are no logits")
    ece: float | None = Field(None, description="sgd: top-label expected calibration error, 15 bins of equal width")
    validation_accuracy: float | None = Field(None, description="accuracy on the validation images, by which λ was chosen")
    null_accuracy: float | None = Field(
        None, description="accuracy of the same probe (λ, seeds) fitted to shuffled labels: each image with that of another one"
    )
    majority_accuracy: float = Field(description="accuracy of always naming the class most frequent among the training images")
    network_accuracy: float = Field(description="accuracy of the network itself")
    used_ridge: float | None = Field(None, description="λ as used, in mean variances of a row's values; null for sgd")
    used_view: str = Field(description="view as used")
    explained: float = Field(description="share of the variance of the layer's channels that the rank keeps, on training images")
    row_values: int = Field(description="values in a row")
    train_loss: float | None = Field(None, description="sgd: mean cross-entropy of the last epoch's steps")
    train_images: int = Field(description="training images of the probe")
    validation_images: int = Field(description="images held out of the training split")
    test_images: int = Field(description="test images scored")
    seconds: float = Field(description="the run's share of its group's wall time")


def inputs(config: Config) -> list[RunId]:
    """The network."""
    return [config.network]


def group_key(config: Config) -> Hashable:
    """Runs that share the network, the images and the order of the batches."""
    return tuple(getattr(config, field) for field in SHARED)


def group_work(configs: Sequence[Config], catalog: Any, device: str) -> float:
    """Seconds that the probes of one group are reckoned at: forward passes, products of rows, and around them."""
    sheet, source, shared = catalog.network_layers(configs[0].network), sources.get(configs[0].dataset), configs[0]
    train = shared.train_images or source.train_images - shared.validation_images
    tested = (shared.test_images or source.test_images) + shared.validation_images
    trained = [config for config in configs if config.fit == "sgd"]
    forward = sum(2.0 * row["parameters"] * fit.positions(tuple(row["shape"])) for row in sheet)
    widths = {c.layer: _width(c, catalog) for c in configs}
    sums = 2.0 * sum(width**2 for width in widths.values())
    steps = sum(12.0 * c.epochs * widths[c.layer] * source.classes for c in trained)
    stacks = {(c.layer, c.view, c.epochs, c.lr, c.schedule, c.rank is None) for c in trained}
    steps_s = STEP_S * sum(epochs for _, _, epochs, *_ in stacks) * train / shared.batch_size
    operations = (train * (1 + bool(trained)) + tested) * forward + train * (sums + steps)
    return operations / SPEED.get(device.split(":")[0], SPEED["cpu"]) + NUMBER_S * len(configs) + GROUP_S + steps_s


def check(config: Config, catalog: Any) -> None:
    """Raise UserError for a data set that is missing, too small or of other networks, and for layers that have no such rows."""
    sources.must_have_classes(config.dataset)
    sources.must_be_there(config.dataset, catalog.data_folders)
    source = sources.get(config.dataset)
    rules.check_images(config, source)
    check_fit(source, catalog.network(config.network))
    check_epoch("epoch", config.epoch, catalog.kept(config.network))
    rules.check(config, _shape(config, catalog))


def run(configs: Sequence[Config], context: Context) -> Iterator[Row]:
    """Fit and score all probes of one network; one row each."""
    from repsim.models import allocator
    from repsim.probing import configured

    started = perf_counter()
    allocator.keep_freed_memory(context.device)
    results, splits = configured.probed(configs, context)
    seconds = (perf_counter() - started) / len(configs)
    for each in results.probed:
        yield Row(run_id=each.asked.key, **configured.columns(each, results, splits), seconds=seconds)


def _shape(config: Config, catalog: Any) -> fit.Shape:
    sheet, classes = catalog.network_layers(config.network), catalog.network(config.network).classes
    return comparing.shape_of(sheet, classes, config.layer, "layer")


def _width(config: Config, catalog: Any) -> int:
    shape = _shape(config, catalog)
    return fit.rows(shape, rules.view_of(config.view, shape))[1]


SHARED = (
    *("network", "epoch", "dataset", "batch_size", "data_seed"),
    *("train_images", "validation_images", "test_images"),
)
