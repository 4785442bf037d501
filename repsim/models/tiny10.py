"""Owns Tiny10, the ten-layer plain network of Csiszárik et al. (2021)."""

from collections import OrderedDict

from torch import nn

# (channels, kernel, stride) of the eight convolutions; none is padded
BLOCKS = ((16, 3, 1), (16, 3, 1), (32, 3, 2), (32, 3, 1), (32, 3, 1), (64, 3, 2), (64, 3, 1), (64, 1, 1))


def tiny10(classes: int, channels: int) -> nn.Sequential:
    """conv1, bn1, relu1 … conv8, bn8, relu8, then pool (global average), flatten, fc.

    Layer and parameter names are those of the networks published with the paper. Inputs (n, channels, h, w), h, w ≥ 27.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    before = channels
    for i, (width, kernel, stride) in enumerate(BLOCKS, start=1):
        layers[f"conv{i}"] = nn.Conv2d(before, width, kernel, stride)
        layers[f"bn{i}"] = nn.BatchNorm2d(width)
        layers[f"relu{i}"] = nn.ReLU()
        before = width
    layers["pool"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["fc"] = nn.Linear(before, classes)
    return nn.Sequential(layers)
