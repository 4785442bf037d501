"""Stitch two trained networks: g after its end layer ∘ S ∘ f up to its front layer, with f and g frozen.

One group is one pair of networks on the same batches: all its stitchers share the forward passes of f and g.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import chain
from operator import attrgetter
from time import perf_counter
from typing import Any, ClassVar

from pydantic import Field

from repsim.data import sources
from repsim.job import NAME, STITCHER, Context, JobConfig, JobRow, RunId
from repsim.stitching import attack_rules, rules, tasks
from repsim.stitching.config_fields import Adversarial, Attacked, Cut, Family, Images, Kept, State, Tasks, Training
from repsim.stitching.row_fields import Accuracies, Controls, Cost, Donors, Elsewhere, Likeness, Matrix, Robust, Shift, Truncated

VERSION = 2
RESUMES = True
PRIOR_RATE = 4e-5  # seconds per image passed through one stitched network, a guess for one GPU until runs are measured


class Pair(JobConfig):
    """The two networks, and what they are stitched on."""

    front_network: RunId = Field(pattern=NAME, description="run whose network f is used up to front_layer")
    end_network: RunId = Field(pattern=NAME, description="run whose network g is used from end_layer on")
    front_arch: str | None = Field(None, description="label: architecture of f")
    end_arch: str | None = Field(None, description="label: architecture of g")
    front_made: str | None = Field(None, description="label: how f was trained, or the collection it was imported in")
    end_made: str | None = Field(None, description="label: the same of g")
    front_dataset: str | None = Field(None, description="label: the data set that f was made for")
    end_dataset: str | None = Field(None, description="label: the same of g")
    front_seed: int | None = Field(None, description="label: seed of f")
    end_seed: int | None = Field(None, description="label: seed of g")
    dataset: str = Field(pattern=NAME, description="data set to train, validate and test the stitcher on")


class Config(Attacked, Adversarial, Kept, Images, Training, Family, Cut, State, Tasks, Pair):
    """One stitcher between two layers of two networks; its fields in order: those of the last base come first."""

    labels: ClassVar[frozenset[str]] = frozenset(
        {*("front_arch", "end_arch", "front_made", "end_made", "front_dataset", "end_dataset", "front_seed", "end_seed")}
    )
    apart: ClassVar[frozenset[str]] = frozenset({"front_network", "end_network", "seed", "data_seed"})

    def refusals(self) -> Iterable[tuple[bool, str]]:
        """What cannot be meant."""
        rules.must_be_readable(self)
        tasks.must_be_readable(self)
        return chain(rules.refusals(self), attack_rules.refusals(self), tasks.refusals(self))


class Row(Elsewhere, Truncated, Shift, Robust, Cost, Matrix, Likeness, Controls, Donors, Accuracies, JobRow):
    """What one stitcher scored. Accuracies are fractions of the test images; null where the run diverged or it has no meaning.

    Its columns in order: those of the last base come first.
    """


def inputs(config: Config) -> list[RunId]:
    """The two networks."""
    return [config.front_network, config.end_network]


def group_key(config: Config) -> Hashable:
    """Runs that can share batches, forward passes and test images."""
    return KEY(config)


def work(config: Config) -> float:
    """Images passed through the stitched network: trained on, validated and tested; each step of an attack is a pass."""
    source = sources.get(config.dataset)
    trained = config.train_images or source.train_images - config.validation_images
    tested = config.test_images or source.test_images
    candidates = len(rules.candidates_of(config.crossval)) or 1
    passed = trained * attack_rules.passes(config) + config.validation_images
    return candidates * config.epochs * passed + tested + attack_rules.test_passes(config, source)


def check(config: Config, catalog: Any) -> None:
    """Raise UserError for a data set that is missing, too small or of other networks, and layers that cannot be joined so."""
    sources.must_have_classes(config.dataset)
    sources.must_be_there(config.dataset, catalog.data_folders)
    source = sources.get(config.dataset)
    rules.check_images(config, source)
    attack_rules.check(config, source)
    tasks.check(config, catalog)
    rules.check_epoch("front_epoch", config.front_epoch, catalog.kept(config.front_network))
    rules.check_epoch("end_epoch", config.end_epoch, catalog.kept(config.end_network))
    front, _ = rules.layer(catalog.network_layers(config.front_network), config.front_layer, "front_layer")
    end, behind = rules.layer(catalog.network_layers(config.end_network), config.end_layer, "end_layer")
    rules.check(config, front, end, behind)


def run(configs: Sequence[Config], context: Context) -> Iterator[Row]:
    """Start, train and measure all stitchers of one pair of networks; one row each."""
    from repsim.models import allocator
    from repsim.stitching import configured, elsewhere, feeding
    from repsim.stitching.columns import columns
    from repsim.stitching.group import measure
    from repsim.stitching.resume import Resume

    started, shared = perf_counter(), configs[0]
    allocator.keep_freed_memory(context.device)
    pair = configured.pair(configs, context.artefacts, context.device)
    across = elsewhere.across(shared, pair, configured.splits(shared, context), context)
    splits = across.splits
    configured.control_(pair, shared, splits)
    feeding.check_fit(pair, splits)
    batches = feeding.expected_batches(splits, shared.batch_size, max(config.epochs for config in configs))
    progress = feeding.Progress(context.tick, batches, context.steps)
    order = feeding.ordering(splits, shared.batch_size, shared.data_seed, progress)
    feed = feeding.feed(splits, shared.batch_size, shared.augment, order, progress, across.other and across.other.end)
    asked = [configured.asked(config, context.run_id(config)) for config in configs]
    keys = sorted(want.key for want in asked)
    resume = Resume(context.artefacts / keys[0] / "resume.pt", [want.key for want in asked], order)
    results = measure(pair, feed, asked, shared.batchnorm, resume=None if context.steps else resume)
    told = None if pair.same_task and across.other is None else across.told(pair)
    seconds = perf_counter() - started + resume.spent
    for config, each in zip(configs, results.measured, strict=True):
        if config.save:
            configured.keep(each, config.model_dump(), context.artefact(each.run.key, STITCHER))
        yield Row(
            run_id=each.run.key,
            outcome="diverged" if each.run.diverged else "ok",
            **columns(each, results, told),
            train_images=len(splits.train),
            validation_images=0 if splits.validation is None else len(splits.validation),
            test_images=results.images,
            seconds=seconds / len(configs),
            images_per_second=results.epochs_run * len(splits.train) / seconds,
        )
    resume.remove()


STATE = ("front_epoch", "end_epoch", "control", "control_seed")
SHARED = ("front_network", "end_network", "dataset", "batch_size", "batchnorm", "data_seed", "augment", "precision")
TASKS = ("label_map", "eval_dataset", "eval_label_map")
IMAGES = ("train_images", "validation_images", "test_images", "match_images", "shortcut")
KEY = attrgetter(*SHARED, *TASKS, *STATE, *IMAGES)
