"""Train networks of a zoo, from their seeds, and keep their weights for the jobs that stitch and compare.

Artefacts of a run: `network.pt`, the network that counts (`models.checkpoint`): the average of its weights where the recipe has
one (`ema`), else what the last step left, which beside an average is `last.pt`; `epoch_0010.pt` …, the same after that epoch
(`checkpoint_every`); `resume.pt`, from which a killed run goes on to the same weights. One that diverged leaves a row alone.
"""

from collections.abc import Hashable, Iterator, Sequence
from math import ceil
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from pydantic import Field

from repsim.data import augmentations, sources
from repsim.errors import SpecError
from repsim.job import NAME, NETWORK, Context, JobConfig, JobRow, NetworkFacts, RunId
from repsim.models import recipes

if TYPE_CHECKING:
    from repsim.data.images import Images
    from repsim.models.lesson import Lesson, Outcome
    from repsim.models.network import Network

VERSION = 1
RESUMES = True
PRIOR_RATE = 5e-5  # seconds per image passed forward and back, a guess for one GPU until runs are measured
RESUME = "resume.pt"


class Config(JobConfig):
    """One network: what it is, what it sees, and the seeds that set it apart from others of its zoo."""

    labels: ClassVar[frozenset[str]] = frozenset({"together"})
    arch: str = Field(pattern=NAME, description="architecture, a name of `repsim models list`")
    width: int | None = Field(None, ge=1, le=4096, description="width of the architecture; null: its default")
    depth: int | None = Field(None, ge=1, le=1024, description="depth of the architecture; null: its default")
    dataset: str = Field(pattern=NAME, description="data set to train and to test on")
    recipe: str = Field("modelsym", pattern=NAME, description="how it is trained, a name of repsim/models/recipes.py")
    seed: int = Field(0, ge=0, lt=2**31, description="seed of the first weights")
    data_seed: int | None = Field(None, ge=0, lt=2**31, description="seed of order, augmentation, dropout, attacks; null: as seed")
    train_images: int | None = Field(None, ge=1, description="train on so many images, the same for every network; null: all")
    label_noise: float = Field(0.0, ge=0, le=1, description="share of the training labels drawn anew, uniform over all classes")
    shortcut: float | None = Field(None, ge=0, le=1, description="how often a cue in every image names its class; null: no cue")
    validation: int = Field(0, ge=0, description="training images held out, to score the curve on; 0: it is of the test images")
    split_seed: int = Field(0, ge=0, lt=2**31, description="seed that says which images are held out")
    eval_every: int = Field(1, ge=0, description="score after every so many epochs, for the curve alone; 0: never")
    checkpoint_every: int = Field(0, ge=0, description="keep the network after every so many epochs; 0: never")
    deterministic: bool = Field(False, description="only kernels that give the same bits each time; slower on a GPU")
    together: int = Field(1, ge=1, le=1024, description="train so many networks of successive seeds at once, on one device")
    epochs: int | None = Field(None, ge=1, le=100_000, description="passes over the training images; null: the recipe's")
    batch_size: int | None = Field(None, ge=1, le=65_536, description="images per step; null: the recipe's")
    optimizer: recipes.Optimizer | None = Field(None, description="optimiser; null: the recipe's")
    lr: float | None = Field(None, gt=0, le=100, description="highest learning rate; null: the recipe's")
    momentum: float | None = Field(None, ge=0, lt=1, description="Nesterov momentum of sgd; null: the recipe's")
    weight_decay: float | None = Field(None, ge=0, le=10, description="weight decay; null: the recipe's")
    schedule: recipes.Schedule | None = Field(None, description="course of the learning rate; null: the recipe's")
    warmup: float | None = Field(None, ge=0, description="epochs in which the rate rises from 0; null: the recipe's")
    augment: augmentations.Augmentation | None = Field(None, description="random changes of the images; null: the recipe's")
    label_smoothing: float | None = Field(None, ge=0, lt=1, description="share of a label spread over all; null: the recipe's")
    clip: float | None = Field(None, ge=0, description="longest gradient (l2 norm), 0: any; null: the recipe's")
    ema: float | None = Field(None, ge=0, lt=1, description="decay per step of the average of the weights, 0: none; null: recipe's")
    precision: recipes.Precision | None = Field(None, description="bf16: compute under autocast; null: the recipe's")
    channels_last: bool | None = Field(None, description="memory order of images and convolutions; null: the recipe's")
    compile: recipes.Compile | None = Field(None, description="mode of torch.compile; null: the recipe's")
    adversary: recipes.Adversary | None = Field(None, description="train on attacked images; null: the recipe's")
    attack_ratio: float | None = Field(None, gt=0, le=1, description="madry: share of a batch that is attacked; null: the recipe's")
    epsilon: float | None = Field(None, gt=0, le=1, description="radius of attacks (pixels in [0, 1]); null: the recipe's")
    attack_step: float | None = Field(None, gt=0, le=1, description="length of an attack's step; null: the recipe's")
    attack_steps: int | None = Field(None, ge=1, le=1000, description="steps of an attack; null: the recipe's")
    beta: float | None = Field(None, ge=0, description="trades: weight of the divergence; null: the recipe's")


class Row(JobRow):
    """How well the network came out. Accuracies are fractions in [0, 1]; losses are null where they are not finite."""

    accuracy: float = Field(description="share of the test images classified rightly")
    loss: float | None = Field(description="mean loss on the test images")
    test_images: int = Field(description="test images scored")
    last_accuracy: float | None = Field(description="accuracy of the weights after the last step; null where they are what counts")
    validation_accuracy: float | None = Field(description="share of the held-out images classified rightly; null: none held out")
    validation_images: int = Field(description="training images held out")
    train_accuracy: float = Field(description="share of the training images classified rightly, without augmentation")
    train_loss: float | None = Field(description="mean loss of the last epoch's steps, as trained on")
    train_images: int = Field(description="training images used")
    parameters: int = Field(description="trainable numbers of the network")
    epochs: int = Field(description="epochs trained: fewer than asked for after divergence")
    train_seconds: float = Field(description="seconds of training per network: wall clock over the networks trained at once")
    images_per_second: float = Field(description="images trained on per second, of all networks trained at once")
    trained_at_once: int = Field(description="networks trained at once, this one among them")
    used_batch_size: int = Field(description="images per step, as used")
    used_optimizer: str = Field(description="optimiser, as used")
    used_lr: float = Field(description="highest learning rate, as used")
    used_weight_decay: float = Field(description="weight decay, as used")
    used_schedule: str = Field(description="course of the learning rate, as used")
    used_augment: str = Field(description="random changes of the images, as used")
    used_label_smoothing: float = Field(description="label smoothing, as used")
    used_clip: float = Field(description="longest gradient, as used; 0: any")
    used_ema: float = Field(description="decay of the average of the weights, as used; 0: none")
    used_precision: str = Field(description="arithmetic of the forward and backward pass, as used")
    used_adversary: str = Field(description="how trained images were attacked, as used")
    curve_on: Literal["validation", "test"] = Field(description="images that the curve was scored on; nothing was selected by it")
    curve_epoch: list[float] = Field(description="one entry per epoch, from 1; so in all columns of the curve")
    curve_rate: list[float] = Field(description="learning rate of the epoch's last step")
    curve_train_loss: list[float] = Field(description="mean loss of the epoch's steps, as trained on")
    curve_train_accuracy: list[float] = Field(description="mean accuracy of the epoch's steps, as trained on; nan under attack")
    curve_accuracy: list[float] = Field(description="accuracy after the epoch on the images of curve_on; nan: not scored")
    curve_loss: list[float] = Field(description="mean loss after the epoch on the images of curve_on; nan: not scored")
    curve_seconds: list[float] = Field(description="seconds trained, of all networks trained at once, scoring left out")


def inputs(config: Config) -> list[RunId]:
    """A training reads no artefact of another run."""
    return []


def group_key(config: Config) -> Hashable:
    """One network per group, so that each counts as soon as it is trained; or as many as are trained at once."""
    if config.together == 1:
        return tuple(config)
    data_seed = None if config.data_seed is None else config.data_seed // config.together
    return (*config.model_dump(exclude={"seed", "data_seed"}).values(), config.seed // config.together, data_seed)


def network(config: Config) -> NetworkFacts:
    """What network this run leaves behind."""
    source = sources.get(config.dataset)
    return NetworkFacts(config.arch, config.width, source.classes, source.channels, source.size, config.depth)


def kept(config: Config) -> Sequence[int]:
    """Epochs after which the network is kept."""
    return range(config.checkpoint_every, chosen(config).epochs + 1, config.checkpoint_every) if config.checkpoint_every else ()


def work(config: Config) -> float:
    """Images passed through the network, forward and back; an attack passes an image once per step."""
    images = config.train_images or sources.get(config.dataset).train_images - config.validation
    return chosen(config).epochs * images * recipes.passes(chosen(config))


def chosen(config: Config) -> recipes.Recipe:
    """The recipe, with what the run asks for in place of its own."""
    return recipes.choose(config.recipe, config.arch, **recipes.asked(config.model_dump()))


def check(config: Config, catalog) -> None:
    """Raise UserError for unknown names, for a data set that is not there, and for fields that cannot be meant together."""
    recipe, facts, source = chosen(config), network(config), sources.get(config.dataset)
    sources.must_be_there(config.dataset, catalog.data_folders)
    taught, held, there = config.train_images or 1, config.validation, source.train_images
    if taught + held > there:
        raise SpecError(f"{taught} images to train on and {held} held out, but '{source.name}' has {there}", do="ask for fewer")
    if not source.labelled:
        raise SpecError(f"the images of '{source.name}' have no labels to train on", do="name another data set")
    if config.label_noise or config.shortcut is not None:
        sources.must_have_classes(config.dataset)
    if recipe.adversary != "none" and config.together > 1:
        raise SpecError("networks trained against attacks cannot be trained together", do="leave together out")
    if config.split_seed and not config.validation:
        raise SpecError("split_seed has no meaning without validation", do="leave it out, or hold images out")
    recipes.refuse_idle(recipe, recipes.asked(config.model_dump()))
    catalog.layers(facts)


def run(configs: Sequence[Config], context: Context) -> Iterator[Row]:
    """Train, score and save each network; one row each. Resume files stay until the last is done: rows are published together."""
    from repsim.models import allocator, tensorfile

    once = configs[0].together
    allocator.keep_freed_memory(context.device)
    for first in range(0, len(configs), once):
        yield from _train(configs[first : first + once], context)
    for config in configs:
        tensorfile.remove(context.artefact(context.run_id(config), RESUME))


def _train(configs: Sequence[Config], context: Context) -> Iterator[Row]:
    """Networks that differ by their seeds alone: at once where that can be, else one after the other."""
    from repsim.data import batches
    from repsim.models import learner

    splits = _splits(configs[0], context)
    networks = [_built(config, context.device) for config in configs]
    few = next(iter(batches.ordered(splits["train"], 4)))[0]
    learner.refuse_lone_image(networks[0], few, len(splits["train"]), chosen(configs[0]).batch_size)
    if len(configs) > 1 and not learner.stackable(networks[0], few, chosen(configs[0])):
        yield from (row for config in configs for row in _train([config], context))
        return
    lesson = _lesson(configs, networks, splits, context)
    lesson.run()
    yield from (_finished(config, lesson.outcome(k), context) for k, config in enumerate(configs))


def _splits(config: Config, context: Context) -> "dict[str, Images]":
    """train, validation where images are held out, and test."""
    from repsim.data import altered, splits

    where = (config.dataset, context.data_folders, context.cache, context.device)
    three = splits.three(*where, validation=config.validation, seed=config.split_seed)
    return altered.parts(three, config.train_images, config.label_noise, config.shortcut)


def _built(config: Config, device: str) -> "Network":
    import torch

    from repsim.models import zoo

    source = sources.get(config.dataset)
    return zoo.build(network(config), source.mean, source.std, torch.Generator().manual_seed(config.seed)).to(device)


def _lesson(configs: Sequence[Config], networks: "list[Network]", splits: "dict[str, Images]", context: Context) -> "Lesson":
    """The training of `networks`. No randomness enters but that of the seeds."""
    import torch

    from repsim.data import batches
    from repsim.models.course import Course
    from repsim.models.lesson import Lesson, keep
    from repsim.models.resume import Resume
    from repsim.robustness import adversaries

    config, train, ids = configs[0], splits["train"], [context.run_id(config) for config in configs]
    recipe, steps = chosen(config), ceil(len(train) / chosen(config).batch_size)
    augment = cast("augmentations.Augmentation", recipe.augment)
    seeds = [config.seed if config.data_seed is None else config.data_seed for config in configs]
    generators = [torch.Generator(context.device).manual_seed(seed) for seed in seeds]
    return Lesson(
        Course(networks, recipe, generators, steps, seeds, context.steps, adversaries.objective(recipe)),
        batches=lambda generator, epoch: batches.batches(train, recipe.batch_size, generator, augment, epoch),
        splits={name: lambda split=split: batches.ordered(split, 1000) for name, split in splits.items()},
        keep=lambda k, epoch, net: keep(net, context.artefact(ids[k], f"epoch_{epoch:04d}.pt"), run_id=ids[k], epoch=epoch),
        resume=None if context.steps else Resume(context.artefact(ids[0], RESUME), ids),
        tick=context.tick,
        eval_every=config.eval_every,
        keep_every=config.checkpoint_every,
        deterministic=config.deterministic,
    )


def _finished(config: Config, outcome: "Outcome", context: Context) -> Row:
    """The row of one network; its files are written first."""
    from repsim.models.lesson import keep

    run_id, columns = context.run_id(config), outcome.columns
    if not outcome.diverged:
        keep(outcome.counts, context.artefact(run_id, NETWORK), run_id=run_id, accuracy=columns["accuracy"])
        if outcome.last is not outcome.counts:
            keep(outcome.last, context.artefact(run_id, "last.pt"), run_id=run_id, accuracy=columns["last_accuracy"])
    named = {name: columns[name] for name in columns.keys() & Row.model_fields.keys()}
    return Row.model_validate({"run_id": run_id, "outcome": "diverged" if outcome.diverged else "ok", **named})
