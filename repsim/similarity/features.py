"""Owns features: the values of some layers of any network over a sample of images, and the proof of which images they are of."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from repsim.data.batches import ordered
from repsim.data.images import Images
from repsim.errors import InputError, nearest
from repsim.models.network import Network
from repsim.similarity import reading
from repsim.similarity.capture import Capture
from repsim.similarity.reading import Pair
from repsim.similarity.request import Value
from repsim.similarity.sample import Fingerprint, as_bytes

Inputs = Images | Tensor | Iterable[Tensor | tuple[Tensor, Tensor]]


@dataclass(frozen=True, eq=False)
class Features:
    """Values (n, …) by layer, and a hash of the images (and labels) they are of, in their order.

    Features of two networks can be compared where their samples are equal: see `measures.compare`.
    """

    values: Mapping[str, Tensor]
    sample: str
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def __getitem__(self, layer: str) -> Tensor:
        """The value of a layer. Raises InputError for one that was not gathered."""
        if layer not in self.values:
            raise InputError(f"layer '{layer}' was not gathered", where="layer", do=nearest(layer, self.values))
        return self.values[layer]


def gather(
    network: nn.Module, layers: Iterable[str], images: Inputs, batch: int = 250, sample: str | None = None, keep: str | None = None
) -> Features:
    """The values of `layers` of a network for all images, in eval mode, without TF32, autocast or gradients.

    Args:
        network: one of repsim's (which normalises images in [0, 1] itself), or any module that takes a batch as its one argument.
        layers: names, as in `capture.Capture`; of repsim's networks those of `models.cut`, and `logits`.
        images: a split of a data set, a tensor (n, …), or batches of tensors or of (tensor, labels), as loaders give them.
        batch: images at once, where `images` is whole.
        sample: the name of the sample, where both sides see the same images but other pixels (another size or normalisation);
            None: their hash.
        keep: device where values are kept; None: where they are made.
    """
    names, parts, labels, fingerprint = list(dict.fromkeys(layers)), [], [], Fingerprint()
    with ExitStack() as stack:
        stack.enter_context(reading.exactly())
        read = _reader(network, names, stack)
        for x, y in _batches(images, batch):
            fingerprint.add(as_bytes(x) if isinstance(images, Images) else x, y)
            parts.append({name: value.to(keep or value.device) for name, value in read(x).items()})
            labels += [] if y is None else [y]
    if not parts:
        raise InputError("there are no images", where="images")
    values = {name: torch.cat([part[name] for part in parts]) for name in names}
    return Features(values, sample or fingerprint.digest(), torch.cat(labels) if labels else None)


def same_sample(x: Features, y: Features) -> None:
    """Raise InputError where the features are not of the same images in the same order."""
    if len(x) != len(y):
        raise InputError(f"features of {len(x)} images and of {len(y)}", where="y", do="gather both over the same images")
    if x.sample != y.sample:
        what = f"features of other images, or in another order: {x.sample} and {y.sample}"
        raise InputError(what, where="y", do="gather both over the same images in one order, or name the sample yourself")


def _reader(network: nn.Module, names: list[str], stack: ExitStack):
    """x → the values by name."""
    if not isinstance(network, Network):
        return stack.enter_context(Capture(network, names))
    stack.enter_context(reading.evaluating(network))
    read = Pair(network, network).reader(map(Value, names), ())
    return lambda x: {value.layer: found for value, found in read(x).front.items()}


def _batches(images: Inputs, batch: int) -> Iterator[tuple[Tensor, Tensor | None]]:
    if isinstance(images, Images):
        yield from ordered(images, batch)
    elif isinstance(images, Tensor):
        yield from ((part, None) for part in images.split(batch))
    else:
        for part in images:
            yield (part, None) if isinstance(part, Tensor) else (part[0], part[1])
