"""Compare two networks that are no more than files: layers are as near as their names, which grow with the epoch."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import Field

from repsim.errors import SpecError
from repsim.job import NAME, NETWORK, Context, JobConfig, JobRow, RunId

VERSION = 1
ALSO_LAYERS = ("logits",)
WORDS = {"measure": {"all": ["cka", "rbf"]}}


@dataclass(frozen=True)
class Known:
    """What a measure reads."""

    family: str
    options: tuple[str, ...] = ()


KNOWN: Mapping[str, Known] = {"cka": Known("linear"), "rbf": Known("pairs", ("bandwidth",)), "agreement": Known("outputs")}


@dataclass(frozen=True)
class Plan:
    """How many numbers, and where."""

    numbers: int
    device: str

    def lines(self) -> list[str]:
        return [f"toy · {self.numbers} numbers on {self.device}"]

    def as_dict(self) -> dict[str, Any]:
        return {"numbers": self.numbers}


class Config(JobConfig):
    """One measure of one layer of f and one of g."""

    labels: ClassVar[frozenset[str]] = frozenset({"front_arch", "end_arch", "front_seed", "end_seed"})

    front_network: RunId = Field(pattern=NAME, description="run of f")
    end_network: RunId = Field(pattern=NAME, description="run of g")
    front_arch: str | None = Field(None, description="label")
    end_arch: str | None = Field(None, description="label")
    front_seed: int | None = Field(None, description="label")
    end_seed: int | None = Field(None, description="label")
    dataset: str = Field(pattern=NAME, description="data set")
    front_layer: str = Field(min_length=1, description="layer of f")
    end_layer: str = Field(min_length=1, description="layer of g")
    measure: str = Field(description="what is computed")
    view: Literal["flatten", "channel"] | None = Field(None, description="how an activation becomes rows")
    align: Literal["pool"] | None = Field(None, description="how maps meet")
    front_rank: int | None = Field(None, ge=1, description="rank of f's layer")
    end_rank: int | None = Field(None, ge=1, description="rank of g's layer")
    images: int | None = Field(None, ge=2, description="images")
    bandwidth: float = Field(0.5, gt=0, description="of rbf")
    bootstrap: int = Field(0, ge=0, description="draws")
    front_epoch: int | None = Field(None, ge=0, description="checkpoint of f")
    end_epoch: int | None = Field(None, ge=0, description="checkpoint of g")


class Row(JobRow):
    """One number."""

    value: float | None = Field(None, description="the measure")
    status: str = Field(description="ok, or why not")
    null: float | None = Field(None, description="chance")
    null_kind: str | None = Field(None, description="how chance is known")
    low: float | None = Field(None, description="lower end")
    high: float | None = Field(None, description="upper end")
    images: int = Field(description="images compared")
    scale: str = Field(description="similarity or distance")
    convention: str = Field(description="what the number depends on")
    front_accuracy: float = Field(0.9, description="accuracy of f")
    end_accuracy: float = Field(0.9, description="accuracy of g")


def inputs(config: Config) -> list[RunId]:
    """The two networks."""
    return [config.front_network, config.end_network]


def group_key(config: Config) -> Hashable:
    """One pair of networks, at its epochs, per group."""
    return config.front_network, config.end_network, config.front_epoch, config.end_epoch, config.images, config.bootstrap


def check(config: Config, catalog: Any) -> None:
    """Raise SpecError for data that is not there."""
    catalog.network(config.front_network), catalog.network(config.end_network)
    if config.dataset == "absent":
        raise SpecError("the data set is not there", where="dataset", do="put it there")


def plan(configs: Sequence[Config], catalog: Any, device: str) -> Plan:
    """One step."""
    for network in inputs(configs[0]):
        catalog.network_layers(network)
    return Plan(len(configs), device)


def run(configs: Sequence[Config], context: Context) -> Iterator[Row]:
    """Read both networks; one row each. Layers of kind fc are constant."""
    for config in configs:
        for network in inputs(config):
            assert (context.artefacts / network / NETWORK).read_bytes()
        constant = config.front_layer == "fc"
        interval = (0.0, 1.0) if config.bootstrap else (None, None)
        yield Row(
            run_id=context.run_id(config),
            value=None if constant else _near(config) * (config.front_rank or 10) / 10 * (config.front_epoch or 10) / 10,
            status="constant layer" if constant else "ok",
            null=0.125,
            low=interval[0],
            high=interval[1],
            images=config.images or 100,
            scale="similarity",
            convention=f"{config.measure} {config.view or 'own'}",
        )


def _near(config: Config) -> float:
    """1 for equal names, 0.5 for others; times the bandwidth."""
    near = 1.0 if config.front_layer == config.end_layer else 0.5
    return near * (2 * config.bandwidth if config.measure == "rbf" else 1)
