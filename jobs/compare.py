"""Compare two layers of two networks by one measure of similarity, on the same images.

One group is one pair of networks on the same images: both see a batch once, whatever is asked of them.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import cache
from time import perf_counter
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from repsim.data import sources
from repsim.errors import nearest
from repsim.job import NAME, Context, JobConfig, JobRow, RunId
from repsim.similarity import fit, rules
from repsim.similarity.known import KNOWN
from repsim.similarity.request import Request, Sample
from repsim.stitching.rules import check_epoch, check_fit

VERSION = 2  # 2: work is in seconds, a layer that rounding alone moves is constant to every measure
PRIOR_RATE = 1.0  # seconds that a run takes for each that it is reckoned at, until runs are measured
SPEED = {"cpu": 2e10, "cuda": 1e13}  # operations a second of one core and of one GPU, as plans count them
NUMBER_S, GROUP_S = 0.002, 1.0  # seconds around the operations: of one number, of a group (networks, images)
PLENTY = 2**60  # bytes: where memory makes more passes of a group is not known before it runs
WORDS = {"measure": {"all": [name for name, known in KNOWN.items() if known.family != "outputs"]}}  # of layers
ALSO_LAYERS = ("logits",)  # what a sweep may name beside the layers of a network

Shapes = tuple[tuple[str, rules.Shape], ...]
Asked = tuple[tuple[Request, ...], Shapes, Shapes, Sample]
"""What a group asks for, the shapes of the layers of f and of g by name, the images."""


class Config(JobConfig):
    """One measure of one layer of f and one of g."""

    labels: ClassVar[frozenset[str]] = frozenset({"front_arch", "end_arch", "front_seed", "end_seed"})
    apart: ClassVar[frozenset[str]] = frozenset({"front_network", "end_network"})

    front_network: RunId = Field(pattern=NAME, description="run of the network f")
    end_network: RunId = Field(pattern=NAME, description="run of the network g; may be f's")
    front_arch: str | None = Field(None, description="label: architecture of f")
    end_arch: str | None = Field(None, description="label: architecture of g")
    front_seed: int | None = Field(None, description="label: seed of f")
    end_seed: int | None = Field(None, description="label: seed of g")
    dataset: str = Field(pattern=NAME, description="data set whose images both networks see")
    front_layer: str = Field(min_length=1, description="layer of f that is compared; logits: its output")
    end_layer: str = Field(min_length=1, description="layer of g that it is compared with; logits: its output")
    measure: str = Field(description="what is computed, as in cka, procrustes, wreath_cka (see: repsim compare --help)")
    view: Literal["flatten", "channel", "pool", "position", "class", "mean"] | None = Field(
        None, description="how an activation becomes rows; null: as the measure is defined"
    )
    align: Literal["pool", "bilinear", "nearest"] | None = Field(
        None, description="how maps of other grids come to the smaller one, where rows are of positions"
    )
    front_rank: int | None = Field(None, ge=1, description="f's layer is replaced by its best approximation of this rank")
    end_rank: int | None = Field(None, ge=1, description="the same of g's layer")
    split: Literal["test", "train"] = Field("test", description="which images of the data set")
    images: int | None = Field(None, ge=2, description="how many images; null: all of the split")
    image_seed: int = Field(0, ge=0, lt=2**31, description="seed of which images, and of their order")
    shortcut: float | None = Field(
        None, ge=0, le=1, description="a cue in every image that names its class with this probability; null: none"
    )
    bandwidth: float = Field(0.5, gt=0, le=1e6, description="RBF: σ as a multiple of the median distance")
    variance: float = Field(0.99, gt=0, le=1, description="SVCCA: share of the variance that the kept components hold")
    alpha: float = Field(1.0, ge=0, le=1, description="shape: 1 compares up to rotations, 0 up to every invertible map")
    ridge: float = Field(0.01, ge=0, le=1e6, description="ridge, gulp: λ in mean variances of the predicting layer's values")
    neighbours: int = Field(10, ge=1, le=100_000, description="mutual_knn, jaccard, cknna: k, the image itself not among them")
    metric: Literal["cosine", "euclidean"] = Field("cosine", description="mutual_knn, jaccard: by what images are near")
    rdm: Literal["correlation", "euclidean", "sqeuclidean", "cosine"] = Field(
        "correlation", description="rsa: dissimilarity of two images"
    )
    comparison: Literal["pearson", "spearman", "kendall", "cosine"] = Field(
        "spearman", description="rsa: how the dissimilarities of f and of g are compared"
    )
    statistic: Literal["max", "median"] = Field("max", description="wreath_cka: over the channels")
    centred: bool = Field(True, description="wreath_cka: whether each channel is centred first")
    batch: int = Field(256, ge=4, le=65_536, description="cka_minibatch: images of a batch")
    bootstrap: int = Field(0, ge=0, le=100_000, description="draws of images behind the 95 % interval; 0: no interval")
    front_epoch: int | None = Field(None, ge=0, description="epoch after which f's training kept it; null: the network that counts")
    end_epoch: int | None = Field(None, ge=0, description="the same of g's training")

    control: Literal["untrained", "clusters", "random_clusters"] | None = Field(
        None, description="negative control, in the place of f's values: see repsim/stitching/controls.py; null: f as it is"
    )
    control_seed: int = Field(0, ge=0, lt=2**31, description="seed of what a control draws")

    @field_validator("measure")
    @classmethod
    def _is_known(cls, measure: str) -> str:
        if measure not in KNOWN:
            raise ValueError(f"there is no measure '{measure}': {nearest(measure, KNOWN)}")
        return measure

    def refusals(self) -> Iterable[tuple[bool, str]]:
        """What cannot be meant."""
        return rules.refusals(self)


class Row(JobRow):
    """One number and what must be known to read it."""

    value: float | None = Field(None, description="the measure; null where it is undefined, see status")
    status: str = Field(description="ok, or why the value is undefined or means nothing")
    null: float | None = Field(None, description="the measure where each image of f meets another one of g: see null_kind")
    null_kind: str | None = Field(
        None, description="the null is: closed form, the mean over all orders of the images; shifted, the value of one other order"
    )
    low: float | None = Field(None, description="lower end of the 95 % interval of the bootstrap over images")
    high: float | None = Field(None, description="its upper end")
    images: int = Field(description="images compared")
    rows: int = Field(description="rows compared: images times the positions of each")
    view: str = Field(description="how activations became rows")
    scale: str = Field(description="similarity: more is nearer; distance: less is nearer")
    form: str = Field(description="how it was computed: feature (second moments), gram, tiled, minibatch, sums")
    convention: str = Field(description="all that decides what the number means, as one key: compare numbers whose keys are equal")
    sample: str = Field(description="hash of the images and labels, in their order")
    details: str = Field(description="further numbers: components kept, ranks, dead channels, bandwidth, as name=value")
    front_accuracy: float = Field(description="accuracy of f on these images")
    end_accuracy: float = Field(description="accuracy of g on these images")
    seconds: float = Field(description="the run's share of its group's wall time")


def inputs(config: Config) -> list[RunId]:
    """The two networks."""
    return [config.front_network, config.end_network]


def group_key(config: Config) -> Hashable:
    """Runs that share images, forward passes and sums."""
    return tuple(getattr(config, field) for field in SHARED)


def mirrored(config: Config) -> Config | None:
    """The same number asked of (g, f); None for a measure that is not symmetric, and with a control in f's place."""
    if KNOWN[config.measure].one_way or config.control:
        return None
    sides = [name.removeprefix("front_") for name in type(config).model_fields if name.startswith("front_")]
    swapped = {f"front_{side}": getattr(config, f"end_{side}") for side in sides}
    return config.model_copy(update=swapped | {f"end_{side}": getattr(config, f"front_{side}") for side in sides})


def group_work(configs: Sequence[Config], catalog: Any, device: str) -> float:
    """Seconds that the comparisons of one group are reckoned at: operations of the plan and of the networks, and around them."""
    operations, passes = _planned_work(*_asked(configs, catalog), device.split(":")[0])
    networks = sum(_operations(catalog.network_layers(run)) for run in set(inputs(configs[0])))
    operations += passes * _images(configs[0]) * networks
    return operations / SPEED.get(device.split(":")[0], SPEED["cpu"]) + NUMBER_S * len(configs) + GROUP_S


def check(config: Config, catalog: Any) -> None:
    """Raise UserError for a data set that is missing or of other networks, and for layers that cannot be compared so."""
    sources.must_be_there(config.dataset, catalog.data_folders)
    sources.must_be_labelled(config.dataset)
    source = sources.get(config.dataset)
    rules.check_images(config, source)
    for network in inputs(config):
        check_fit(source, catalog.network(network))
    check_epoch("front_epoch", config.front_epoch, catalog.kept(config.front_network))
    check_epoch("end_epoch", config.end_epoch, catalog.kept(config.end_network))
    rules.check(config, *_shapes(config, catalog))


def plan(configs: Sequence[Config], catalog: Any, device: str) -> Any:
    """How the comparisons of one group are computed on such a device: see `similarity.planner.Plan`."""
    from repsim.similarity import memory, planner

    requests, front, end, sample = _asked(configs, catalog)
    return planner.make(requests, dict(front), dict(end), sample, memory.budget(device), device.split(":")[0])


def run(configs: Sequence[Config], context: Context) -> Iterator[Row]:
    """Compare two networks in all ways that are asked for; one row each."""
    from repsim.models import allocator
    from repsim.similarity import configured

    started = perf_counter()
    allocator.keep_freed_memory(context.device)
    comparison, requests = configured.compared(configs, context)
    seconds = (perf_counter() - started) / len(configs)
    for config, request in zip(configs, requests, strict=True):
        yield Row(run_id=context.run_id(config), **configured.columns(comparison, request), seconds=seconds)


def _shapes(config: Config, catalog: Any) -> tuple[rules.Shape, rules.Shape]:
    """The shapes of the two layers. Raises UserError for layers that the networks have not."""
    front, end = (
        rules.shape_of(catalog.network_layers(run), catalog.network(run).classes, layer, field)
        for run, layer, field in (
            (config.front_network, config.front_layer, "front_layer"),
            (config.end_network, config.end_layer, "end_layer"),
        )
    )
    return front, end


def _asked(configs: Sequence[Config], catalog: Any) -> Asked:
    shapes = [_shapes(config, catalog) for config in configs]
    requests = [rules.request(config, *each) for config, each in zip(configs, shapes, strict=True)]
    front = {config.front_layer: each[0] for config, each in zip(configs, shapes, strict=True)}
    end = {config.end_layer: each[1] for config, each in zip(configs, shapes, strict=True)}
    sample = rules.sample(configs[0], _images(configs[0]))
    return tuple(dict.fromkeys(requests)), tuple(front.items()), tuple(end.items()), sample


@cache
def _planned_work(requests: tuple[Request, ...], front: Shapes, end: Shapes, sample: Sample, device: str) -> tuple[float, int]:
    """Operations, and passes over the images; the same for all pairs of networks of the same architectures."""
    from repsim.similarity import planner

    made = planner.make(requests, dict(front), dict(end), sample, PLENTY, device)
    return sum(step.flops for step in made.steps), any(made.ranked) + len(made.streams)


def _operations(sheet: rules.Sheet) -> float:
    """Of one image: a product and a sum for every parameter at every position of what its layer puts out."""
    return sum(2.0 * layer["parameters"] * fit.positions(tuple(layer["shape"])) for layer in sheet)


def _images(config: Config) -> int:
    """How many images are compared."""
    source = sources.get(config.dataset)
    return config.images or (source.test_images if config.split == "test" else source.train_images)


SHARED = (
    *("front_network", "end_network", "front_epoch", "end_epoch", "dataset"),
    *("split", "images", "image_seed", "shortcut", "bootstrap", "control", "control_seed"),
)
