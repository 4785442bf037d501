"""Judge two layers of two networks, the front one replaced by its best approximation of some rank, by one of several ways.

One group is one pair of networks on the same images. What is asked of it by stitching, by probes and by measures of similarity each
shares its forward passes, over all layers and ranks; the columns are those of the job `compare`, so that its heat maps and its
identity score take these rows too.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from time import perf_counter
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from repsim.data import sources
from repsim.job import NAME, Context, JobConfig, JobRow, RunId
from repsim.probing import methods
from repsim.similarity import rules as comparing
from repsim.stitching import rules
from repsim.stitching.config_fields import Networks

VERSION = 1
RESUMES = True
PRIOR_RATE = 4e-5  # seconds per image passed through a network, a guess for one GPU until runs are measured


class Config(Networks, JobConfig):
    """One way to judge one layer of f, at one rank, and one of g."""

    labels: ClassVar[frozenset[str]] = frozenset({"front_arch", "end_arch", "front_seed", "end_seed"})
    apart: ClassVar[frozenset[str]] = frozenset({"front_network", "end_network", "seed", "data_seed"})

    dataset: str = Field(pattern=NAME, description="data set to train, validate and test on")
    front_layer: str = Field(min_length=1, description="layer of f, the source")
    end_layer: str = Field(min_length=1, description="layer of g, the target")
    measure: str = Field(
        description="task: linear stitcher trained on labels; matched: least squares; probe: ridge on f's layer; or a similarity"
    )
    rank: int | None = Field(None, ge=1, description="f's layer is replaced by its best approximation of this rank; null: as it is")
    view: Literal["flatten", "channel", "pool", "position", "class", "mean"] | None = Field(
        None, description="probe, similarities: how an activation becomes rows; null: as each is defined"
    )
    resize: Literal["bilinear", "nearest"] | None = Field(None, description="how other grids become equal, where they must be")
    resize_at: Literal["pre", "post"] = Field("pre", description="task, matched: resize before the stitcher or after it")
    init: Literal["random", "eye", "ps_inv"] = Field("random", description="task: start; ps_inv: least squares at the same rank")
    epochs: int = Field(30, ge=1, le=100_000, description="task: passes over the training images")
    lr: float = Field(1e-3, gt=0, le=100, description="task: learning rate of Adam")
    weight_decay: float = Field(1e-5, ge=0, le=1, description="task: weight decay")
    seed: int = Field(0, ge=0, lt=2**31, description="task: seed of a random start")
    batch_size: int = Field(256, ge=2, le=65_536, description="images per step")
    data_seed: int = Field(0, ge=0, lt=2**31, description="seed of the order of the batches")
    train_images: int | None = Field(None, ge=2, description="training images; null: all but the validation images")
    match_images: int | None = Field(None, ge=2, description="training images for least squares and its components; null: all")
    validation_images: int = Field(1000, ge=0, description="images held out of the training split, by which epoch and λ are chosen")
    test_images: int | None = Field(None, ge=4, description="test images: scored, and compared by similarities; null: all")

    @field_validator("measure")
    @classmethod
    def _is_known(cls, measure: str) -> str:
        return methods.must_be_known(measure)

    def refusals(self) -> Iterable[tuple[bool, str]]:
        """What cannot be meant."""
        return methods.refusals(self)


class Row(JobRow):
    """One number and what must be known to read it."""

    value: float | None = Field(
        None, description="task, matched: accuracy of the stitched network; probe: its own; or the similarity"
    )
    status: str = Field(description="ok, or why the value is undefined or means nothing")
    null: float | None = Field(
        None, description="the same of images of f beside labels, or values of g, of other images; task: none"
    )
    null_kind: str | None = Field(None, description="closed form: mean over all orders of the images; shifted: one other order")
    low: float | None = Field(None, description="always null: there is no bootstrap here")
    high: float | None = Field(None, description="always null")
    scale: str = Field(description="similarity: more is nearer, accuracies too; distance: less is nearer")
    convention: str = Field(description="all that decides what the number means")
    view: str = Field(description="how activations became rows")
    images: int = Field(description="test images")
    residual: float | None = Field(None, description="task, matched: Σ‖S(f) − g‖² / Σ‖g − ḡ‖² at the cut, on the test images")
    explained: float | None = Field(None, description="probe: share of the variance of f's layer that the rank keeps")
    selected_epoch: int | None = Field(None, description="task: epoch that counts, chosen on the validation images")
    front_accuracy: float = Field(description="accuracy of f on the test images")
    end_accuracy: float | None = Field(None, description="accuracy of g on the test images; probe: not looked at")
    train_images: int = Field(description="training images")
    validation_images: int = Field(description="images held out of the training split")
    seconds: float = Field(description="the run's share of its group's wall time")


def inputs(config: Config) -> list[RunId]:
    """The two networks."""
    return [config.front_network, config.end_network]


def group_key(config: Config) -> Hashable:
    """Runs that share networks, batches and images."""
    return tuple(getattr(config, field) for field in SHARED)


def work(config: Config) -> float:
    """Images passed through the networks."""
    source = sources.get(config.dataset)
    trained = config.train_images or source.train_images - config.validation_images
    epochs = config.epochs if config.measure == methods.TASK else 0
    return epochs * (trained + config.validation_images) + (config.test_images or source.test_images)


def check(config: Config, catalog: Any) -> None:
    """Raise UserError for a data set that is missing, too small or of other networks, and for layers that cannot be judged so."""
    sources.must_have_classes(config.dataset)
    sources.must_be_there(config.dataset, catalog.data_folders)
    source = sources.get(config.dataset)
    rules.check_images(config, source)
    for network in inputs(config):
        rules.check_fit(source, catalog.network(network))
    front, end = (
        comparing.shape_of(catalog.network_layers(run), catalog.network(run).classes, layer, field)
        for run, layer, field in (
            (config.front_network, config.front_layer, "front_layer"),
            (config.end_network, config.end_layer, "end_layer"),
        )
    )
    methods.check(config, front, end)


def run(configs: Sequence[Config], context: Context) -> Iterator[Row]:
    """Judge two networks in all ways that are asked for; one row each."""
    from repsim.models import allocator
    from repsim.probing.low_rank import Judging

    started = perf_counter()
    allocator.keep_freed_memory(context.device)
    found = Judging(configs, context).columns()
    seconds = (perf_counter() - started) / len(configs)
    for config, columns in found.items():
        yield Row.model_validate({"run_id": context.run_id(config), **columns, "seconds": seconds})


SHARED = (
    *("front_network", "end_network", "dataset", "batch_size", "data_seed"),
    *("train_images", "match_images", "validation_images", "test_images"),
)
