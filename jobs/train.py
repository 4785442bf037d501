"""Train one network of a zoo, from its seeds, and keep its weights for the jobs that stitch and compare.

The artefact `network.pt` holds the weights after the last step (`models.checkpoint`). A network that diverged leaves a
row, with outcome `diverged`, and no artefact: nothing may be built on it.
"""

from collections.abc import Hashable, Iterator, Sequence
from math import ceil, isfinite
from typing import TYPE_CHECKING

from pydantic import Field

from repsim.data import sources
from repsim.errors import SpecError
from repsim.job import NAME, Context, JobConfig, JobRow, NetworkFacts, RunId
from repsim.models import recipes

if TYPE_CHECKING:
    from repsim.data.images import Images
    from repsim.models.network import Network
    from repsim.models.training import Curve

VERSION = 1
PRIOR_RATE = 5e-5  # seconds per image passed forward and back, a guess for one GPU until runs are measured


class Config(JobConfig):
    """One network: what it is, what it sees, and the seeds that set it apart from others of its zoo."""

    arch: str = Field(pattern=NAME, description="architecture, a name of `repsim models list`")
    width: int | None = Field(None, ge=1, le=4096, description="width of the architecture; null: its default")
    depth: int | None = Field(None, ge=1, le=1024, description="depth of the architecture; null: its default")
    dataset: str = Field(pattern=NAME, description="data set to train and to test on")
    recipe: str = Field(
        "modelsym", pattern=NAME, description="optimiser, schedule and augmentation, a name of repsim/models/recipes.py"
    )
    seed: int = Field(0, ge=0, lt=2**31, description="seed of the first weights")
    data_seed: int | None = Field(None, ge=0, lt=2**31, description="seed of batch order and augmentation; null: the same as seed")
    epochs: int | None = Field(None, ge=1, le=100_000, description="passes over the training images; null: the recipe's")
    batch_size: int | None = Field(None, ge=1, le=65_536, description="images per step; null: the recipe's")
    lr: float | None = Field(None, gt=0, le=100, description="highest learning rate; null: the recipe's")
    train_images: int | None = Field(None, ge=1, description="train on so many images, the same for every network; null: all")


class Row(JobRow):
    """How well the network came out. Accuracies are fractions in [0, 1]."""

    accuracy: float = Field(description="share of the test images classified rightly")
    loss: float | None = Field(description="mean cross-entropy on the test images; null where it is not finite")
    test_images: int = Field(description="test images scored")
    train_accuracy: float = Field(description="share of the training images classified rightly, without augmentation")
    train_loss: float | None = Field(description="mean loss of the last epoch's steps, as trained on; null where it is not finite")
    train_images: int = Field(description="training images used")
    parameters: int = Field(description="trainable numbers of the network")
    epochs: int = Field(description="epochs trained: fewer than asked for after divergence")


def inputs(config: Config) -> list[RunId]:
    """A training reads no artefact of another run."""
    return []


def group_key(config: Config) -> Hashable:
    """One network per group: a group publishes its rows at its end, and a trained network should count at once."""
    return tuple(config)


def network(config: Config) -> NetworkFacts:
    """What network this run leaves behind."""
    source = sources.get(config.dataset)
    return NetworkFacts(config.arch, config.width, source.classes, source.channels, source.size, config.depth)


def work(config: Config) -> float:
    """Images passed through the network, forward and back."""
    epochs = recipes.choose(config.recipe, config.epochs).epochs
    return epochs * (config.train_images or sources.get(config.dataset).train_images)


def check(config: Config, catalog) -> None:
    """Raise UserError for an unknown recipe, architecture or data set, and for a data set that is not there."""
    recipes.choose(config.recipe)
    facts, source = network(config), sources.get(config.dataset)
    sources.must_be_there(config.dataset, catalog.data_folders)
    if config.train_images and config.train_images > source.train_images:
        raise SpecError(f"train_images is {config.train_images}, but '{source.name}' has {source.train_images}", do="ask for fewer")
    catalog.layers(facts)


def run(configs: Sequence[Config], context: Context) -> Iterator[Row]:
    """Train, score and save each network; one row each."""
    for config in configs:
        yield _train(config, context)


def _train(config: Config, context: Context) -> Row:
    from repsim.data import batches, images
    from repsim.models import checkpoint, training

    where = (context.data_folders, context.cache, context.device)
    train = images.take(images.load(config.dataset, "train", *where), config.train_images, seed=0)
    test = images.load(config.dataset, "test", *where)
    net, curve = _trained(config, train, context)
    tested, trained = (
        training.evaluate(net, batches.ordered(split, 1000), context.steps, tick=lambda: context.tick(1.0, "scoring"))
        for split in (test, train)
    )
    run_id = context.run_id(config)
    if not curve.diverged:
        checkpoint.save(net, context.artefact(run_id, "network.pt"), {"accuracy": tested.accuracy, "run_id": run_id})
    return Row(
        run_id=run_id,
        outcome="diverged" if curve.diverged else "ok",
        accuracy=tested.accuracy,
        loss=_finite(tested.loss),
        test_images=tested.n,
        train_accuracy=trained.accuracy,
        train_loss=_finite(curve.losses[-1]),
        train_images=len(train),
        parameters=sum(p.numel() for p in net.parameters()),
        epochs=len(curve.losses),
    )


def _trained(config: Config, train: "Images", context: Context) -> "tuple[Network, Curve]":
    """A network from `seed`, trained in the order of `data_seed`; no other randomness enters."""
    import torch

    from repsim.data import batches
    from repsim.models import training, zoo

    recipe = recipes.choose(config.recipe, config.epochs, config.batch_size, config.lr)
    source, weights = sources.get(config.dataset), torch.Generator().manual_seed(config.seed)
    net = zoo.build(network(config), source.mean, source.std, weights).to(context.device)
    curve = training.train(
        net,
        lambda generator: batches.batches(train, recipe.batch_size, generator, recipe.augment),
        recipe,
        torch.Generator(context.device).manual_seed(config.seed if config.data_seed is None else config.data_seed),
        steps_per_epoch=ceil(len(train) / recipe.batch_size),
        steps=context.steps,
        tick=context.tick,
    )
    return net, curve


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
