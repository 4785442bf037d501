"""Ask whether stitched activations are out of distribution: stitchers as in jobs/stitch.py, and detectors of g's own activations.

One group is one end layer of one g on the same images: its detectors are fitted once, its stitchers trained once for all of them.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any, ClassVar

from pydantic import Field

from repsim.data import sources
from repsim.job import NAME, STITCHER, Context, JobConfig, JobRow, NetworkFacts, RunId
from repsim.probing import ood_rules
from repsim.probing.ood_fields import Classifier, Detector, FineTuning, Verdict
from repsim.stitching import attack_rules, rules
from repsim.stitching.config_fields import Adversarial, Attacked, Cut, Family, Images, Kept, Networks, State, Training
from repsim.stitching.row_fields import Accuracies, Controls, Cost, Donors, Likeness, Robust, Shift, Truncated

VERSION = 1
PRIOR_RATE = 1.0  # `group_work` reckons in seconds
IMAGE_S = 4e-5  # seconds per image passed through g, a guess for one GPU until runs are measured
LEARNING = 3  # a step of training takes as long as so many forward passes


class Pair(Networks, JobConfig):
    """The two networks, and what they are stitched on."""

    dataset: str = Field(pattern=NAME, description="data set to train, validate and test stitcher and detector on")


class Config(Attacked, Adversarial, FineTuning, Classifier, Detector, Kept, Images, Training, Family, Cut, State, Pair):
    """One stitcher between two layers, and one detector of the activations behind it; fields of the last base come first."""

    labels: ClassVar[frozenset[str]] = frozenset({"front_arch", "end_arch", "front_seed", "end_seed"})
    apart: ClassVar[frozenset[str]] = frozenset({"front_network", "end_network", "seed", "data_seed", "detector_seed"})

    def refusals(self) -> Iterable[tuple[bool, str]]:
        """What cannot be meant."""
        rules.must_be_readable(self)
        yield from rules.refusals(self)
        yield from attack_rules.refusals(self)
        yield from ood_rules.refusals(self)


class Row(Truncated, Shift, Robust, Verdict, Cost, Likeness, Controls, Donors, Accuracies, JobRow):
    """What one stitcher scored, and what one detector says of it; null where the run diverged or it has no meaning."""


def inputs(config: Config) -> list[RunId]:
    """The two networks."""
    return [config.front_network, config.end_network]


def group_key(config: Config) -> Hashable:
    """Runs that can share detectors, batches and test images: all that end in one layer of g, whatever f."""
    return KEY(config)


def group_work(configs: Sequence[Config], catalog: Any, device: str) -> float:
    """Seconds that a group is reckoned at: each stitcher once, each detector once."""
    trained, tested = _images(configs[0])
    stitches = {STITCH(c): _passed(c) for c in configs}
    schools = {
        SCHOOL(c): LEARNING * (c.classifier_epochs + 2 * c.finetune_epochs) for c in configs if c.detector in ood_rules.TRAINED
    }
    return IMAGE_S * (sum(stitches.values()) + trained * (sum(schools.values()) + 1) + tested)


def check(config: Config, catalog: Any) -> None:
    """Raise UserError for images that are missing or too few, networks made for others, layers and classifiers that do not fit."""
    sources.must_have_classes(config.dataset)
    sources.must_be_there(config.dataset, catalog.data_folders)
    source = sources.get(config.dataset)
    rules.check_images(config, source)
    attack_rules.check(config, source)
    for network in inputs(config):
        rules.check_fit(source, catalog.network(network))
    rules.check_epoch("front_epoch", config.front_epoch, catalog.kept(config.front_network))
    rules.check_epoch("end_epoch", config.end_epoch, catalog.kept(config.end_network))
    front, _ = rules.layer(catalog.network_layers(config.front_network), config.front_layer, "front_layer")
    end, behind = rules.layer(catalog.network_layers(config.end_network), config.end_layer, "end_layer")
    rules.check(config, front, end, behind)
    ood_rules.check(config, catalog, source)
    if config.detector in ood_rules.TRAINED and config.classifier not in ood_rules.OWN:
        channels = ood_rules.channels_of(end)
        catalog.layers(NetworkFacts(config.classifier, config.classifier_width, source.classes, channels, source.size))


def run(configs: Sequence[Config], context: Context) -> Iterator[Row]:
    """Fit the detectors of g; start, train, measure and judge all stitchers that end in it; one row each."""
    from repsim.models import allocator
    from repsim.probing.study import Study
    from repsim.stitching import configured

    allocator.keep_freed_memory(context.device)
    for one in Study(configs, context).run():
        if one.config.save:
            configured.keep(one.each, one.config.model_dump(), context.artefact(context.run_id(one.config), STITCHER))
        outcome = "diverged" if one.each.run.diverged else "ok"
        known = {name: value for name, value in one.columns.items() if name in Row.model_fields}
        yield Row(run_id=context.run_id(one.config), outcome=outcome, **known)


def _passed(config: Config) -> float:
    """Images passed through a stitched network, a step of training or of its attack as many as it costs."""
    trained, tested = _images(config)
    attacked = attack_rules.test_passes(config, sources.get(config.dataset))
    return LEARNING * (config.epochs * trained * attack_rules.passes(config) + attacked) + tested


def _images(config: Config) -> tuple[int, int]:
    """Training images (those held out among them) and test images."""
    source = sources.get(config.dataset)
    left = config.train_images or source.train_images - config.validation_images
    return left + config.validation_images, config.test_images or source.test_images


SHARED = (
    "end_network",
    "end_epoch",
    "end_layer",
    "dataset",
    "batch_size",
    "batchnorm",
    "data_seed",
    "augment",
    "precision",
    "sanity",
)
KEY = attrgetter(*SHARED, *Images.model_fields)
OF_DETECTOR = (*Detector.model_fields, *Classifier.model_fields, *FineTuning.model_fields)
SCHOOL = attrgetter(*Classifier.model_fields, *FineTuning.model_fields)
STITCH = attrgetter(*(name for name in Config.model_fields if name not in OF_DETECTOR))
