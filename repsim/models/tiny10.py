"""Owns Tiny10, the ten-layer plain network of Csiszárik et al. (2021), with and without BatchNorm."""

from collections import OrderedDict
from functools import partial

from torch import nn

from repsim.models.architecture import Architecture, Choice
from repsim.models.initial import default

# (channels, kernel, stride) of the eight convolutions; none is padded
BLOCKS = ((16, 3, 1), (16, 3, 1), (32, 3, 2), (32, 3, 1), (32, 3, 1), (64, 3, 2), (64, 3, 1), (64, 1, 1))


def tiny10(classes: int, channels: int, width: int, norm: bool = True) -> nn.Sequential:
    """conv1, bn1, relu1 … conv8, bn8, relu8, then pool (global average), flatten, fc.

    Layer and parameter names are those of the networks published with the paper. Inputs (n, channels, h, w), h, w ≥ 27.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    before = channels
    for i, (base, kernel, stride) in enumerate(BLOCKS, start=1):
        after = base * width
        layers[f"conv{i}"] = nn.Conv2d(before, after, kernel, stride)
        if norm:
            layers[f"bn{i}"] = nn.BatchNorm2d(after)
        layers[f"relu{i}"] = nn.ReLU()
        before = after
    layers["pool"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["fc"] = nn.Linear(before, classes)
    return nn.Sequential(layers)


SOURCE = "Csiszárik et al. (2021), appendix"
TIMES = Choice(1, range(1, 17), "a multiplier of 16, 32 and 64 channels")
TINY10S = {
    "tiny10": Architecture(tiny10, default, 27, SOURCE, width=TIMES),
    "tiny10_nobn": Architecture(partial(tiny10, norm=False), default, 27, f"{SOURCE}, without BatchNorm", width=TIMES),
}
