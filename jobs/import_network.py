"""Bring in one network that was trained elsewhere: check its file, score it here, and keep it as a run of its own.

The file is named by what is in it (`digest`), so that the id of the run stands for these very weights. The command
line has put a read-only copy at artefacts/imports/DIGEST.pt. Its weights are read as data: no code in it is run.
"""

import hashlib
from collections.abc import Hashable, Iterator, Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, ValidationInfo, field_validator

from repsim.data import normalising, sources
from repsim.errors import InputError
from repsim.job import NAME, Context, JobConfig, JobRow, NetworkFacts, RunId

if TYPE_CHECKING:
    from repsim.models.checkpoint import Foreign
    from repsim.models.network import Network

VERSION = 1
PRIOR_RATE = 30.0  # seconds per network: loading the data and one pass over the test images


class Config(JobConfig):
    """One published network: its weights, what they fit, and where they come from."""

    labels: ClassVar[frozenset[str]] = frozenset({"source"})

    arch: str = Field(pattern=NAME, description="architecture that the weights fit, a name of `repsim models list`")
    width: int | None = Field(None, ge=1, le=4096, description="width of the architecture; null: its default")
    depth: int | None = Field(None, ge=1, le=1024, description="depth of the architecture; null: its default")
    dataset: str = Field(pattern=NAME, description="data set that it was trained on")
    normalise: str | None = Field(None, description="mean and std of its input: none, or MEAN/STD; null: those of the data set")
    name: str = Field(pattern=NAME, description="name of the collection, say frankenstein")
    seed: int = Field(ge=0, lt=2**31, description="seed of the first weights, as published")
    data_seed: int | None = Field(None, ge=0, lt=2**31, description="seed of the batch order, as published; null: not known")
    digest: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the file, in hex")
    source: str | None = Field(None, description="label: the file's name, below the folder that was imported")

    @field_validator("normalise")
    @classmethod
    def _in_one_way(cls, said: str | None, others: ValidationInfo) -> str | None:
        """Whatever was said, the same numbers give the same id."""
        return normalising.canonical(said, sources.get(others.data["dataset"])) if "dataset" in others.data else said


class Row(JobRow):
    """How well the network does here. Accuracies are fractions in [0, 1]."""

    accuracy: float = Field(description="share of the test images classified rightly")
    loss: float | None = Field(description="mean cross-entropy on the test images; null where it is not finite")
    test_images: int = Field(description="test images scored")
    parameters: int = Field(description="trainable numbers of the network")
    names: str | None = Field(None, description="whose parameter names the file has; null: ours")
    prefix: str | None = Field(None, description="what stood before every parameter name of the file; null: nothing")
    mean: list[float] | None = Field(None, description="mean per channel by which the network normalises pixels in [0, 1]")
    std: list[float] | None = Field(None, description="standard deviation per channel by which it does")


def inputs(config: Config) -> list[RunId]:
    """An import reads no artefact of another run."""
    return []


def group_key(config: Config) -> Hashable:
    """One network per group: a file that cannot be used stops no other."""
    return tuple(config)


def network(config: Config) -> NetworkFacts:
    """What network this run leaves behind."""
    source = sources.get(config.dataset)
    return NetworkFacts(config.arch, config.width, source.classes, source.channels, source.size, config.depth)


def kept(config: Config) -> Sequence[int]:
    """No epoch: only the network itself was imported."""
    return ()


def check(config: Config, catalog) -> None:
    """Raise UserError for an unknown architecture or data set, and for a data set that is not there or has no labels."""
    facts = network(config)
    sources.must_be_labelled(config.dataset)
    sources.must_be_there(config.dataset, catalog.data_folders)
    catalog.layers(facts)


def run(configs: Sequence[Config], context: Context) -> Iterator[Row]:
    """Score and save each network; one row each."""
    for config in configs:
        yield _bring_in(config, context)


def _bring_in(config: Config, context: Context) -> Row:
    from repsim.data import batches, images
    from repsim.models import checkpoint, training

    net, found = _network(config, context)
    test = images.load(config.dataset, "test", context.data_folders, context.cache, context.device)
    score = training.evaluate(net, batches.ordered(test, 1000), context.steps, tick=lambda: context.tick(0.5, "scoring"))
    run_id = context.run_id(config)
    notes = {"accuracy": score.accuracy, "run_id": run_id, "collection": config.name}
    notes |= {"source": config.source, "digest": config.digest, "names": found.names, "prefix": found.prefix}
    checkpoint.save(net, context.artefact(run_id, "network.pt"), notes)
    mean, std = normalising.numbers(config.normalise, sources.get(config.dataset))
    return Row(
        run_id=run_id,
        outcome="ok",
        accuracy=score.accuracy,
        loss=score.loss if isfinite(score.loss) else None,
        test_images=score.n,
        parameters=sum(p.numel() for p in net.parameters()),
        names=found.names,
        prefix=found.prefix or None,
        mean=list(mean),
        std=list(std),
    )


def _network(config: Config, context: Context) -> "tuple[Network, Foreign]":
    """The network on the device, and what its file held."""
    from repsim.models import checkpoint, zoo

    file, facts = _staged(config, context), network(config)
    mean, std = normalising.numbers(config.normalise, sources.get(config.dataset))
    found = checkpoint.read_foreign(file, facts)
    _refuse_other_normalisation(found, (mean, std), file)
    net = zoo.build(facts, mean, std)
    net.body.load_state_dict(found.state)
    return net.to(context.device), found


def _refuse_other_normalisation(found: "Foreign", chosen: normalising.Numbers, file: Path) -> None:
    """A file that holds a normaliser beside its weights says how its input is normalised; nothing else may be assumed."""
    if found.mean is None or found.std is None:
        return
    held = tuple(value * (len(mine) if len(value) == 1 else 1) for value, mine in zip((found.mean, found.std), chosen, strict=True))
    if not normalising.agree((held[0], held[1]), chosen):
        what = f"holds a normaliser of its own, {normalising.text((held[0], held[1]))}, not {normalising.text(chosen)}"
        raise InputError(what, where=str(file), do=f"import it with --normalise {normalising.text((held[0], held[1]))}")


def _staged(config: Config, context: Context) -> Path:
    """The copy that the command line left; it must be there, and be the file that the run is named after."""
    path, again = context.artefacts / "imports" / f"{config.digest}.pt", "bring the network in again with 'repsim zoo import'"
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError("the file to import is not there", where=str(path), do=again) from None
    if hashlib.sha256(data).hexdigest() != config.digest:
        raise InputError("is not the file that was to be imported: its SHA-256 differs", where=str(path), do=again)
    return path
