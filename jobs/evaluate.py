"""Score one network: accuracy, loss and calibration on clean images, and what is left of the accuracy under an attack.

One group is one network on the same images: all its attacks share the clean pass, and an attack of 50 steps also gives
what the same attack of 10 and of 20 steps leaves.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import islice
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from repsim.data import sources
from repsim.job import NAME, NETWORK, Context, JobConfig, JobRow, RunId
from repsim.robustness import rules
from repsim.robustness.linf import Linf, pixels
from repsim.stitching.rules import check_fit

if TYPE_CHECKING:
    from repsim.robustness.evaluation import Clean

VERSION = 1
PRIOR_RATE = 4e-5  # seconds per image passed through the network, a guess for one GPU until runs are measured
BATCH = 250  # images of 32×32 pixels that pass at once: WideResNets keep 60 MB of each for its gradient
Pixels = Annotated[float, BeforeValidator(pixels)]
SEED = 0  # of a choice of test images: the same for all runs that ask for as many


class Config(JobConfig):
    """One network, the images to score it on, and the attack. Lengths are in units of pixels in [0, 1]."""

    labels: ClassVar[frozenset[str]] = frozenset({"arch", "made", "seed"})
    apart: ClassVar[frozenset[str]] = frozenset({"network"})

    network: RunId = Field(pattern=NAME, description="run whose network is scored")
    arch: str | None = Field(None, description="label: its architecture")
    made: str | None = Field(None, description="label: how it was trained, or the collection it was imported in")
    seed: int | None = Field(None, description="label: its seed")
    dataset: str = Field(pattern=NAME, description="data set whose test images it is scored on, of its size and classes")
    test_images: int | None = Field(None, ge=1, description="test images scored; null: all")
    attack: Literal["none", "pgd", "autoattack"] = Field("none", description="attack in an L∞ ball around each image")
    epsilon: Pixels = Field(Linf().epsilon, gt=0, le=1, description="radius of the ball, also as 8/255")
    attack_steps: int = Field(Linf().steps, ge=1, le=10_000, description="pgd: steps along the sign of the gradient")
    attack_step: Pixels | None = Field(None, gt=0, le=1, description="pgd: length of a step; null: a quarter of epsilon")
    attack_start: Literal["uniform", "gaussian", "image"] = Field(
        "uniform", description="pgd: in the ball; at x + 0.001 · N(0, 1); at x (of one step of epsilon: FGSM)"
    )
    restarts: int = Field(1, ge=1, le=1000, description="pgd: tries from as many random starts")
    attack_seed: int = Field(0, ge=0, lt=2**31, description="seed of the random starts")

    def refusals(self) -> Iterable[tuple[bool, str]]:
        """What cannot be meant."""
        return rules.refusals(self)

    @property
    def step(self) -> float:
        """Length of a step."""
        return self.epsilon / 4 if self.attack_step is None else self.attack_step


class Row(JobRow):
    """How well the network does. Answers are one per image, or one per image and attribute; accuracies are shares of them."""

    test_images: int = Field(description="test images scored")
    answers: int = Field(description="answers scored")
    right: int = Field(description="answers that are right on clean images")
    accuracy: float = Field(description="right / answers")
    loss: float | None = Field(description="mean cross-entropy on clean images; null where it is not finite")
    ece: float | None = Field(
        description="top-label expected calibration error on clean images, 15 bins of equal width (Guo et al. 2017)"
    )
    robust_right: int | None = Field(
        description="answers right on the clean image and on every image that the attack made; null without attack"
    )
    robust_accuracy: float | None = Field(description="robust_right / answers")
    attack_step: float | None = Field(description="length of a step of pgd, as taken")


def inputs(config: Config) -> list[RunId]:
    """The network."""
    return [config.network]


def group_key(config: Config) -> Hashable:
    """Runs that share the network, the images and the clean pass."""
    return config.network, config.dataset, config.test_images


def work(config: Config) -> float:
    """Images passed through the network at most: a fooled one is attacked no more."""
    return (config.test_images or sources.get(config.dataset).test_images) * rules.passes(config)


def check(config: Config, catalog: Any) -> None:
    """Raise UserError for a data set that is missing, without labels, too small or of other networks, and for AutoAttack alike."""
    sources.must_be_there(config.dataset, catalog.data_folders)
    sources.must_be_labelled(config.dataset)
    source = sources.get(config.dataset)
    rules.check_images(config, source)
    check_fit(source, catalog.network(config.network))
    if config.attack == "autoattack":
        rules.check_autoattack(source)


def run(configs: Sequence[Config], context: Context) -> Iterator[Row]:
    """Score the network and attack it; one row per config."""
    from repsim.data import batches, images
    from repsim.models import checkpoint
    from repsim.robustness import configured
    from repsim.robustness.evaluation import evaluate, robust

    shared, size = configs[0], sources.get(configs[0].dataset).size
    network = checkpoint.load(context.artefacts / shared.network / NETWORK).to(context.device)
    test = images.load(shared.dataset, "test", context.data_folders, context.cache, context.device)
    test = images.take(test, shared.test_images, SEED)
    batch = min(1000, max(32, BATCH * 32**2 // size**2))
    clean, falls = evaluate(
        network,
        islice(batches.ordered(test, batch), context.steps),
        configured.attacks(configs, context.steps),
        lambda done: context.tick(done / len(test), "scoring"),
    )
    for config in configs:
        attacked = None if config.attack == "none" else robust(falls[configured.key(config)], config.attack_steps)
        yield _row(config, context.run_id(config), clean, attacked)


def _row(config: Config, run_id: RunId, clean: "Clean", attacked: int | None) -> Row:
    finite = isfinite(clean.loss)
    return Row(
        run_id=run_id,
        outcome="ok",
        test_images=clean.images,
        answers=clean.answers,
        right=clean.right,
        accuracy=clean.right / clean.answers,
        loss=clean.loss if finite else None,
        ece=clean.ece if isfinite(clean.ece) else None,
        robust_right=attacked,
        robust_accuracy=None if attacked is None else attacked / clean.answers,
        attack_step=config.step if config.attack == "pgd" else None,
    )
