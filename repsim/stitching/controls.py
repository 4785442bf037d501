"""Owns the negative controls of a stitch: what takes the place of f's values, so that nothing f has learned is in them.

    untrained        the values of f's architecture as `control_seed` draws its weights; batch norms as they are initialised
    shuffled         f's own, but S is matched and trained with each beside the value and label of another image (`Pair.shuffled`)
    clusters         a = μ_k + σε for an image of class k: noise in clusters that carry the label and nothing else of the image
    random_clusters  the same with a cluster drawn for each image, whatever its class

μ_k and ε are standard normal, one number per value of the layer, σ = 0.5; ε and the drawn cluster depend on the pixels of the image
and on the seed alone, so an image has the same value in every pass. Logits stay f's own: what is compared with f's accuracy stays
comparable. Sources: Smith et al. 2025, Functional alignment can mislead (clustered noise); Bansal et al. 2021 (untrained networks).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Protocol

import torch
from torch import Generator, Tensor

from repsim.data.images import Images
from repsim.models.cut import cuts
from repsim.models.network import Network
from repsim.models.zoo import build

Values = Callable[[Tensor], Mapping[str, Tensor]]
SPREAD = 0.5  # σ of a cluster, where centres are standard normal
AT_ONCE = 1000  # images whose pixels are looked at together


class StandIn(Protocol):
    """Whatever gives the values of f's layers in f's place."""

    def reader(self, layers: Sequence[str]) -> Values:
        """Images (n, c, h, w) in [0, 1] → values (n, …) of `layers` by name."""
        ...


@dataclass(frozen=True)
class Untrained:
    """f's architecture and normaliser with weights that were never trained."""

    network: Network

    def reader(self, layers: Sequence[str]) -> Values:
        read = cuts(self.network).reader(values=tuple(layers))
        return lambda x: read(x).values


@dataclass(frozen=True)
class Clusters:
    """Noise in `count` clusters; `clusters` is that of an image by its key, where it is not drawn.

    Args:
        shape: of an image's value, by layer.
    """

    shape: Callable[[str], Sequence[int]]
    count: int
    seed: int
    clusters: Mapping[int, int] | None = None
    _generator: Generator = field(default_factory=Generator, repr=False)

    def reader(self, layers: Sequence[str]) -> Values:
        centres = {layer: self._centres(layer) for layer in layers}

        def read(x: Tensor) -> Mapping[str, Tensor]:
            keys = keys_of(_bytes(x), self.seed)
            return {layer: self._values(layer, centres[layer], keys).to(x.device) for layer in layers}

        return read

    def _centres(self, layer: str) -> Tensor:
        return torch.randn(self.count, *self.shape(layer), generator=self._seeded(layer, 0))

    def _values(self, layer: str, centres: Tensor, keys: Sequence[int]) -> Tensor:
        noise = [torch.randn(centres.shape[1:], generator=self._seeded(layer, key)) for key in keys]
        return centres[[self._cluster(key) for key in keys]] + SPREAD * torch.stack(noise)

    def _cluster(self, key: int) -> int:
        if self.clusters is not None:
            return self.clusters[key]
        return int(torch.randint(self.count, (), generator=self._seeded("", key)))

    def _seeded(self, name: str, key: int) -> Generator:
        return self._generator.manual_seed(_hash(f"{self.seed} {name} {key}".encode()))


def stand_in(control: str, seed: int, network: Network, splits: Iterable[Images]) -> StandIn:
    """What `control` puts into the place of the layers of `network`; clusters that carry labels know the images of `splits`."""
    if control == "untrained":
        return untrained(network, seed)
    labels = clusters_of(splits, seed) if control == "clusters" else None
    return Clusters(cuts(network).shape, network.facts.classes, seed, labels)


def untrained(network: Network, seed: int) -> Untrained:
    """What stands in for `network`: its architecture, drawn by `seed`, on the same device."""
    mean, std = network.mean.flatten().tolist(), network.std.flatten().tolist()
    drawn = build(network.facts, mean, std, Generator().manual_seed(seed))
    return Untrained(drawn.to(network.mean.device).eval().requires_grad_(False))


def clusters_of(splits: Iterable[Images], seed: int) -> dict[int, int]:
    """The label of every image of `splits` by its key; where equal images bear several labels, the first."""
    found: dict[int, int] = {}
    for images in splits:
        for first in range(0, len(images), AT_ONCE):
            part = slice(first, first + AT_ONCE)
            for key, label in zip(keys_of(images.pixels(part).cpu(), seed), images.labels[part].tolist(), strict=True):
                found.setdefault(key, label)
    return found


def keys_of(pixels: Tensor, seed: int) -> list[int]:
    """A number for each image (n, c, h, w) uint8, the same for equal pixels."""
    salt = str(seed).encode()
    return [_hash(image.tobytes() + salt) for image in pixels.contiguous().numpy()]


def _bytes(x: Tensor) -> Tensor:
    return (x * 255).round().to(torch.uint8).cpu()


def _hash(content: bytes) -> int:
    return int.from_bytes(blake2b(content, digest_size=7).digest(), "big")
