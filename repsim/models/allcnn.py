"""Owns All-CNN-C of any depth (Springenberg et al. 2015; the deeper forms by Kornblith et al. 2019)."""

from collections import OrderedDict
from functools import partial

from torch import nn

from repsim.models.architecture import Architecture, Choice
from repsim.models.initial import lecun

Layers = OrderedDict[str, nn.Module]


def allcnn(classes: int, channels: int, width: int, depth: int, dropout: bool) -> nn.Sequential:
    """conv1, bn1, relu1 … conv{7n+2}, bn, relu, then pool (global average) and flatten, which gives the logits; n = `depth`.

    c channels: 3n − 1 times 3×3, one 3×3 with stride 2; 2c: the same again; n − 1 times 3×3, one 3×3 unpadded, one 1×1; then
    1×1 to the classes; c = `width`. With `dropout`: 0.2 of the input (drop0), 0.5 after each stride (drop1, drop2).
    """
    layers: Layers = OrderedDict(drop0=nn.Dropout(0.2)) if dropout else OrderedDict()
    count, before = 0, channels
    for stage, rows in enumerate(_rows(classes, width, depth), start=1):
        for after, kernel, stride, padding in rows:
            count += 1
            layers[f"conv{count}"] = nn.Conv2d(before, after, kernel, stride=stride, padding=padding, bias=False)
            layers |= {f"bn{count}": nn.BatchNorm2d(after), f"relu{count}": nn.ReLU()}
            before = after
        if dropout and stage < 3:
            layers[f"drop{stage}"] = nn.Dropout(0.5)
    layers |= {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
    return nn.Sequential(layers)


def _rows(classes: int, width: int, depth: int) -> list[list[tuple[int, int, int, int]]]:
    """(channels, kernel, stride, padding) of every convolution of the three stages."""
    first = [(width, 3, 1, 1)] * (3 * depth - 1) + [(width, 3, 2, 1)]
    second = [(2 * width, 3, 1, 1)] * (3 * depth - 1) + [(2 * width, 3, 2, 1)]
    third = [(2 * width, 3, 1, 1)] * (depth - 1) + [(2 * width, 3, 1, 0), (2 * width, 1, 1, 0), (classes, 1, 1, 0)]
    return [first, second, third]


def _version(dropout: bool) -> Architecture:
    paper = "Springenberg et al. (2015), All-CNN-C, ≈ 1.3 M without BatchNorm; Kornblith et al. (2019)"
    source = f"{paper}; {'with' if dropout else 'no'} dropout"
    width = Choice(96, range(1, 513), "the channels of the first stage; the others have twice as many")
    depth = Choice(1, range(1, 17), "n, of 7n + 2 convolutions")
    return Architecture(partial(allcnn, dropout=dropout), lecun, 9, source, width=width, depth=depth)


ALLCNNS = {"allcnn_v1": _version(True), "allcnn_v2": _version(False)}
