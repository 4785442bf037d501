"""Owns the classifiers of activations that a detector is made of: g's own layers behind the cut, or another network."""

import copy

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from repsim.models.cut import cuts
from repsim.models.network import Facts, Network
from repsim.models.zoo import build
from repsim.probing.ood_rules import channels_of
from repsim.stitching.shapes import Shape, grid, has_class_token


class Behind(nn.Module):
    """The layers of a network behind `layer`: (value, *carried) → logits. Only they are its parameters."""

    def __init__(self, network: Network, layer: str):
        super().__init__()
        self.suffix = cuts(network).suffix(layer)

    def forward(self, value: Tensor, *carried: Tensor) -> Tensor:
        return self.suffix(value, *carried)


class Resized(nn.Module):
    """Another network, which sees an activation as an image of as many channels, resized (bilinear) to `size` pixels.

    Tokens lie on their grid; a class token is repeated at each position, as further channels. A vector is one position.
    What passes the cut by is not seen.
    """

    def __init__(self, network: Network, size: int):
        super().__init__()
        self.network, self._size = network, (size, size)

    def forward(self, value: Tensor, *carried: Tensor) -> Tensor:
        seen = as_map(value)
        if seen.shape[2:] != self._size:
            seen = functional.interpolate(seen, self._size, mode="bilinear", align_corners=False)
        return self.network(seen)


def as_map(value: Tensor) -> Tensor:
    """A map (n, c, h, w) as it is, tokens (n, t, d) and vectors (n, p) on a grid."""
    if value.dim() == 4:
        return value
    if value.dim() == 2:
        return value[:, :, None, None]
    shape = tuple(value.shape[1:])
    patches = value[:, int(has_class_token(shape)) :].unflatten(1, grid(shape)).movedim(-1, 1)
    if not has_class_token(shape):
        return patches
    return torch.cat([patches, value[:, 0, :, None, None].expand(-1, -1, *patches.shape[2:])], 1)


def make(kind: str, width: int | None, end: Network, layer: str, shape: Shape, seed: int) -> nn.Module:
    """A classifier of the values of g's `layer`, of this shape, on g's device.

    Args:
        kind: "suffix", a copy of g's layers behind the cut; "fresh", the same layers with weights drawn anew; else an architecture
            of `models.zoo`, of this width.
    """
    generator, device = Generator().manual_seed(seed), end.mean.device
    if kind == "suffix":
        return Behind(copy.deepcopy(end).requires_grad_(True), layer)
    if kind == "fresh":
        return Behind(build(end.facts, end.mean.flatten().cpu(), end.std.flatten().cpu(), generator).to(device), layer)
    facts = Facts(kind, width, end.facts.classes, channels_of(shape), end.facts.size)
    return Resized(build(facts, generator=generator).to(device), end.facts.size)
