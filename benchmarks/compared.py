"""Owns what is compared: two networks, their layers, the images in their order, and stored features that modules give again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import subjects
import torch
from torch import Tensor, nn

from repsim.data import images as data
from repsim.data import sources
from repsim.data.batches import ordered
from repsim.data.images import Images
from repsim.job import NetworkFacts
from repsim.models import zoo
from repsim.models.network import Network
from repsim.similarity import features, sample

SEED = 0  # of the order of the images


@dataclass(frozen=True)
class Subject:
    """Two networks of one architecture: published ones below a zoo folder, or of seeds 0 and 1 where none are named."""

    arch: str
    files: tuple[str, str] | None


SUBJECTS: Mapping[str, Subject] = {
    "tiny10": Subject("tiny10", ("Tiny10/CIFAR10/in4-gn4/110000.pt", "Tiny10/CIFAR10/in5-gn5/110000.pt")),
    "resnet18": Subject("resnet18", None),
}


def networks(subject: Subject, folder: Path | None, device: str) -> tuple[Network, Network]:
    """Both, in eval mode, on the device."""
    if subject.files is None:
        front, end = (_of_seed(subject.arch, seed) for seed in (0, 1))
    else:
        assert folder, f"{subject.arch} is read from a zoo folder: say --zoo"
        front, end = (subjects.read(subject.arch, folder / file) for file in subject.files)
    return front.to(device).eval(), end.to(device).eval()


def layers(network: Network) -> list[str]:
    """Convolutions, batch norms and ReLUs, in order: 24 of Tiny10; 49 of ResNet-18, with one ReLU per block, that of its output.

    Other packages name them as modules, one value each: a ReLU that a block calls twice gives them the last one.
    """
    modules = network.body.named_modules()
    return [name for name, module in modules if isinstance(module, (nn.Conv2d, nn.BatchNorm2d)) or _counts(name, module)]


def stream(folders: Sequence[Path], cache: Path, count: int, device: str) -> Images:
    """So many test images of CIFAR-10, in a fixed random order, uint8 on the device."""
    return sample.stream(data.load(subjects.DATASET, "test", tuple(folders), cache, device), count, SEED)


class Batches:
    """What the packages take for a loader: batches of images in [0, 1] that are on the device already."""

    dataset = "CIFAR-10"

    def __init__(self, images: Images, size: int):
        self._images, self._size = images, size

    def __len__(self) -> int:
        return -(-len(self._images) // self._size)

    def __iter__(self) -> Iterator[list[Tensor]]:
        return ([x] for x, _ in ordered(self._images, self._size))


class Indices:
    """The same where features are stored: (first, one past the last image) of each batch, as a tensor of four numbers or more.

    One of the packages refuses a batch whose first dimension is below four, so the pair is said twice.
    """

    dataset = "features"

    def __init__(self, images: int, size: int):
        self._images, self._size = images, size

    def __len__(self) -> int:
        return -(-self._images // self._size)

    def __iter__(self) -> Iterator[list[Tensor]]:
        for start in range(0, self._images, self._size):
            stop = min(start + self._size, self._images)
            yield [torch.tensor([start, stop, start, stop])]


class Replayed(nn.Module):
    """Stored values (n, …) of layers, each given again by a submodule of its own: what is left is the comparing."""

    def __init__(self, values: Mapping[str, Tensor]):
        super().__init__()
        self.parts = nn.ModuleDict({_word(name): nn.Identity() for name in values})
        self._values = {_word(name): value for name, value in values.items()}

    def forward(self, span: Tensor) -> None:
        """The images [start, stop) that `Indices` names."""
        start, stop = span[:2].tolist()
        for name, part in self.parts.items():
            part(self._values[name][start:stop])


def replayed(network: Network, names: Sequence[str], images: Images) -> dict[str, Tensor]:
    """The values of layers for all images, to be given again."""
    return dict(features.gather(network, names, images).values)


def module_names(module: nn.Module, names: Sequence[str]) -> list[str]:
    """What the layers are called as submodules."""
    return [f"parts.{_word(name)}" if isinstance(module, Replayed) else f"body.{name}" for name in names]


def _of_seed(arch: str, seed: int) -> Network:
    source = sources.get(subjects.DATASET)
    facts = NetworkFacts(arch, None, source.classes, source.channels, source.size)
    return zoo.build(facts, source.mean, source.std, torch.Generator().manual_seed(seed))


def _counts(name: str, module: nn.Module) -> bool:
    return isinstance(module, nn.ReLU) and (name.count(".") == 0 or name.endswith("relu2"))


def _word(name: str) -> str:
    return name.replace(".", "_")
