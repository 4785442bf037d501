"""Bring in one network that was trained elsewhere: check its file, score it here, and keep it as a run of its own.

The file is named by what is in it (`digest`), so that the id of the run stands for these very weights. The command
line has put a read-only copy at artefacts/imports/DIGEST.pt. Its weights are read as data: no code in it is run.
"""

import hashlib
from collections.abc import Hashable, Iterator, Sequence
from math import isfinite
from pathlib import Path

from pydantic import Field

from repsim.data import sources
from repsim.errors import InputError
from repsim.job import NAME, Context, JobConfig, JobRow, NetworkFacts, RunId

VERSION = 1
PRIOR_RATE = 30.0  # seconds per network: loading the data and one pass over the test images


class Config(JobConfig):
    """One published network: its weights, what they fit, and where they come from."""

    arch: str = Field(pattern=NAME, description="architecture that the weights fit, a name of `repsim models list`")
    width: int | None = Field(None, ge=1, le=4096, description="width of the architecture; null: its default")
    depth: int | None = Field(None, ge=1, le=1024, description="depth of the architecture; null: its default")
    dataset: str = Field(pattern=NAME, description="data set that it was trained on; its mean and std normalise the input")
    name: str = Field(pattern=NAME, description="name of the collection, say frankenstein")
    seed: int = Field(ge=0, lt=2**31, description="seed of the first weights, as published")
    data_seed: int | None = Field(None, ge=0, lt=2**31, description="seed of the batch order, as published; null: not known")
    digest: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the file, in hex")


class Row(JobRow):
    """How well the network does here. Accuracies are fractions in [0, 1]."""

    accuracy: float = Field(description="share of the test images classified rightly")
    loss: float | None = Field(description="mean cross-entropy on the test images; null where it is not finite")
    test_images: int = Field(description="test images scored")
    parameters: int = Field(description="trainable numbers of the network")


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


def check(config: Config, catalog) -> None:
    """Raise UserError for an unknown architecture or data set, and for a data set that is not there."""
    facts = network(config)
    sources.must_be_there(config.dataset, catalog.data_folders)
    catalog.layers(facts)


def run(configs: Sequence[Config], context: Context) -> Iterator[Row]:
    """Score and save each network; one row each."""
    for config in configs:
        yield _bring_in(config, context)


def _bring_in(config: Config, context: Context) -> Row:
    from repsim.data import batches, images
    from repsim.models import checkpoint, training, zoo

    file, facts, source = _staged(config, context), network(config), sources.get(config.dataset)
    net = zoo.build(facts, source.mean, source.std)
    net.body.load_state_dict(checkpoint.read_foreign(file, facts))
    test = images.load(config.dataset, "test", context.data_folders, context.cache, context.device)
    score = training.evaluate(
        net.to(context.device), batches.ordered(test, 1000), context.steps, tick=lambda: context.tick(0.5, "scoring")
    )
    run_id = context.run_id(config)
    notes = {"accuracy": score.accuracy, "run_id": run_id, "collection": config.name, "digest": config.digest}
    checkpoint.save(net, context.artefact(run_id, "network.pt"), notes)
    return Row(
        run_id=run_id,
        outcome="ok",
        accuracy=score.accuracy,
        loss=score.loss if isfinite(score.loss) else None,
        test_images=score.n,
        parameters=sum(p.numel() for p in net.parameters()),
    )


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
