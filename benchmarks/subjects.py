"""Owns what is measured: the networks, the layers, and the stitchers of the three cases."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from repsim.data import sources
from repsim.job import NetworkFacts
from repsim.models import checkpoint, zoo
from repsim.models.network import Network

DATASET = "cifar10"
TRAIN_IMAGES = 10_000
TEST_IMAGES = 10_000
EPOCHS = 2
BATCH = 128
LR = 1e-3
DATA_SEED = 0


@dataclass(frozen=True)
class Subject:
    """Two published networks below a zoo folder, the layer of cases a and b, and the eight of case c."""

    arch: str
    front: str
    end: str
    layer: str
    layers: tuple[str, ...]


@dataclass(frozen=True)
class Stitch:
    """One linear stitcher between equal layers of the two networks, from a random start."""

    layer: str
    seed: int


@dataclass(frozen=True)
class Case:
    """A group of stitchers; `sample` are those that the classical side is run for, unless it is run for all."""

    name: str
    text: str
    stitches: tuple[Stitch, ...]
    sample: tuple[Stitch, ...]


def cases(subject: Subject) -> dict[str, Case]:
    """a: one stitcher; b: 16 at one layer; c: 8 at each of 8 layers."""
    one = (Stitch(subject.layer, 0),)
    pair = tuple(Stitch(subject.layer, seed) for seed in range(16))
    many = tuple(Stitch(layer, seed) for layer in subject.layers for seed in range(8))
    return {
        "a": Case("a", f"one stitcher at {subject.layer}", one, one),
        "b": Case("b", f"16 stitchers at {subject.layer}", pair, (pair[0], pair[-1])),
        "c": Case("c", f"8 stitchers at each of {len(subject.layers)} layers", many, many[:: len(many) // len(subject.layers)]),
    }


def read(arch: str, file: Path) -> Network:
    """The network in a published file, with the normalisation of its data set."""
    source = sources.get(DATASET)
    network = zoo.build(NetworkFacts(arch, None, source.classes, source.channels, source.size), source.mean, source.std)
    network.body.load_state_dict(checkpoint.read_foreign(file, network.facts).state)
    return network.eval()


SUBJECTS: Mapping[str, Subject] = {
    "tiny10": Subject(
        "tiny10",
        "Tiny10/CIFAR10/in4-gn4/110000.pt",
        "Tiny10/CIFAR10/in5-gn5/110000.pt",
        "bn4",
        ("bn1", "bn2", "bn3", "bn4", "bn5", "bn6", "bn7", "bn8"),
    ),
    # one network of this kind is published, so it is stitched to itself: the work is the same
    "resnet20": Subject(
        "resnet20_b",
        "ResNet20_w1/in0-gn0/110000.pt",
        "ResNet20_w1/in0-gn0/110000.pt",
        "layer2.0",
        ("layer1.0", "layer1.1", "layer1.2", "layer2.0", "layer2.1", "layer2.2", "layer3.0", "layer3.1"),
    ),
}
