"""Rotate one layer of a trained network: a fixed random matrix goes behind it, what lies above is retrained, what lies below stays.

The rotation experiment of Godfrey et al. 2022, "On the Symmetries of Deep Learning Models and their Internal Representations".
Every run has its control beside it, the same retraining with nothing inserted. One group is one layer of one network on the same
batches: all its matrices, seeds, starts and controls share the readings of the frozen part.

Unlike in the paper's code the frozen part is in eval mode (theirs normalised by the batch, so that it drifted), what passes the
layer by, as a residual branch does, is not rotated, and the epoch that counts is chosen on validation images (theirs: on the test
images).
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from operator import attrgetter
from time import perf_counter
from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from repsim.data import sources
from repsim.data.augmentations import Augmentation
from repsim.job import NAME, NETWORK, Context, JobConfig, JobRow, RunId
from repsim.models import recipes
from repsim.rotation import rules
from repsim.stitching.rules import check_fit

VERSION = 1
RESUMES = True
PRIOR_RATE = 5e-5  # seconds per image passed forward and back behind a layer, a guess for one GPU until runs are measured


class Config(JobConfig):
    """One matrix behind one layer of one network, and how what lies above is retrained. Defaults are of the recipe modelsym."""

    labels: ClassVar[frozenset[str]] = frozenset({"arch", "made", "seed"})
    apart: ClassVar[frozenset[str]] = frozenset({"network", "matrix_seed", "data_seed"})

    network: RunId = Field(pattern=NAME, description="run whose network is rotated")
    arch: str | None = Field(None, description="label: its architecture")
    made: str | None = Field(None, description="label: how it was trained, or the collection it was imported in")
    seed: int | None = Field(None, description="label: its seed")
    dataset: str = Field(pattern=NAME, description="data set to retrain, validate and test on")
    layer: str = Field(min_length=1, description="layer whose value the matrix acts on: channels at each position, or dimensions")
    matrix: Literal["identity", "permutation", "g_relu", "orthogonal"] = Field(
        description="identity: the control; g_relu: permutation · positive diagonal; orthogonal: uniform (Haar)"
    )
    matrix_seed: int = Field(0, ge=0, lt=2**31, description="seed of the matrix; an identity has 0 always: equal runs are one")
    sigma: float = Field(1.0, ge=0, le=5, description="g_relu: a scale is exp(σ z − σ²/2), z from N(0, 1): log-normal, of mean 1")
    start: Literal["trained", "fresh"] = Field("trained", description="weights above the layer: as they were trained, or new ones")
    start_seed: int = Field(0, ge=0, lt=2**31, description="fresh: seed of the new weights")
    epochs: int = Field(50, ge=1, le=100_000, description="passes over the training images")
    batch_size: int = Field(32, ge=2, le=65_536, description="images per step")
    optimizer: recipes.Optimizer = Field("adam", description="update rule; sgd with Nesterov momentum")
    lr: float = Field(1e-3, gt=0, le=100, description="highest learning rate")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of sgd")
    weight_decay: float = Field(1e-4, ge=0, le=10, description="weight decay, of weights and not of biases")
    schedule: recipes.Schedule = Field("quarters", description="course of the learning rate, a name of models/schedules.py")
    augment: Augmentation = Field("crop_flip", description="random changes of the images; none: the frozen part is read once")
    batchnorm: Literal["train", "frozen"] = Field(
        "train", description="norms above the layer: of each batch, with running statistics to score by; running ones as they are"
    )
    select: Literal["validation", "last"] = Field("validation", description="epoch whose accuracy counts, of the control likewise")
    train_images: int | None = Field(None, ge=2, description="training images; null: all but the validation images")
    validation_images: int = Field(1000, ge=0, description="images held out of the training split to select the epoch")
    test_images: int | None = Field(None, ge=1, description="test images scored; null: all")
    data_seed: int = Field(0, ge=0, lt=2**31, description="seed of batch order, augmentation and dropout")

    @field_validator("matrix_seed")
    @classmethod
    def _one_identity(cls, seed: int, info: ValidationInfo) -> int:
        return 0 if info.data.get("matrix") == "identity" else seed

    def refusals(self) -> Iterable[tuple[bool, str]]:
        """What cannot be meant."""
        return rules.refusals(self)


class Row(JobRow):
    """What one rotation cost. Accuracies are fractions of the test images; null where the run, or its control, diverged."""

    accuracy: float | None = Field(None, description="of the rotated network at the selected epoch")
    loss: float | None = Field(None, description="its mean cross-entropy on the test images; null if not finite")
    control_accuracy: float | None = Field(description="of the same retraining with nothing inserted, at its own selected epoch")
    original_accuracy: float = Field(description="of the network as it is")
    penalty: float | None = Field(None, description="rotation penalty: control_accuracy − accuracy")
    penalty_original: float | None = Field(None, description="original_accuracy − accuracy, as the paper has it")
    start_accuracy: float | None = Field(description="with the matrix inserted, before anything is retrained")
    selected_epoch: int = Field(description="epoch that counts, from 1")
    validation_accuracy: float | None = Field(None, description="accuracy on the validation images at that epoch")
    train_loss: float | None = Field(None, description="mean loss of the last epoch's steps")
    curve_validation_accuracy: list[float] = Field(description="on the validation images, by epoch from 1; nan: not scored")
    curve_train_loss: list[float] = Field(description="mean loss of the steps, by epoch from 1")
    channels: int = Field(description="rows of the matrix")
    condition: float = Field(description="its largest over its smallest singular value")
    retrained_parameters: int = Field(description="weights above the layer")
    epochs_run: int = Field(description="epochs trained: fewer than asked for after divergence")
    train_images: int = Field(description="training images")
    validation_images: int = Field(description="images held out to select the epoch")
    test_images: int = Field(description="test images scored")
    seconds: float = Field(description="the run's share of its group's wall time")
    images_per_second: float = Field(description="training images of all arms of the group per second of its wall time")


def inputs(config: Config) -> list[RunId]:
    """The network."""
    return [config.network]


def group_key(config: Config) -> Hashable:
    """Runs that can share batches and the readings of the frozen part."""
    return KEY(config)


def work(config: Config) -> float:
    """Images passed through what lies above the layer: trained on, validated and tested."""
    source = sources.get(config.dataset)
    trained = config.train_images or source.train_images - config.validation_images
    return config.epochs * (trained + config.validation_images) + (config.test_images or source.test_images)


def check(config: Config, catalog: Any) -> None:
    """Raise UserError for a data set that is missing, too small or of other networks, and for a layer that cannot be rotated."""
    sources.must_have_classes(config.dataset)
    sources.must_be_there(config.dataset, catalog.data_folders)
    source = sources.get(config.dataset)
    rules.check_images(config, source)
    check_fit(source, catalog.network(config.network))
    rules.check_layer(catalog.network_layers(config.network), config.layer)


def run(configs: Sequence[Config], context: Context) -> Iterator[Row]:
    """Insert, retrain and score all matrices of one layer; one row each."""
    from repsim.models import allocator
    from repsim.rotation import configured

    started = perf_counter()
    allocator.keep_freed_memory(context.device)
    found = configured.measured(configs, context.artefacts / configs[0].network / NETWORK, context)
    seconds = perf_counter() - started + found.resume.spent
    pace = found.images / seconds
    for config in configs:
        columns = found.columns(configured.asked(config))
        yield Row(run_id=context.run_id(config), **columns, seconds=seconds / len(configs), images_per_second=pace)
    found.resume.remove()


SHARED = ("network", "layer", "dataset", "batch_size", "data_seed", "augment")
IMAGES = ("train_images", "validation_images", "test_images")
KEY = attrgetter(*SHARED, *IMAGES)
