"""Owns the VGG networks (Simonyan and Zisserman 2015): for small images, and as torchvision has them.

Parameter names are torchvision's: features.0 … counts convolutions, norms, ReLUs and pools alike.
"""

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial

from torch import nn

from repsim.models.architecture import Architecture, Choice
from repsim.models.initial import vgg as draw

FACTORS = (1, 2, 4, 8, 8)  # channels of the five stages, in widths
HIDDEN = 64  # units of torchvision's two hidden layers, in widths: 4096
GRID = 7  # side of the map that torchvision's classifier takes


def vgg(classes: int, channels: int, width: int, layers: int, norm: bool) -> nn.Sequential:
    """features, avgpool, flatten, classifier: a global average and one linear layer."""
    parts = _convolutions(channels, width, layers, norm)
    parts |= {"avgpool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten(), "classifier": nn.Linear(FACTORS[-1] * width, classes)}
    return nn.Sequential(parts)


def tv_vgg(classes: int, channels: int, width: int, layers: int, norm: bool) -> nn.Sequential:
    """features, avgpool, flatten, classifier: a 7×7 average, two hidden layers with dropout and a linear one."""
    parts = _convolutions(channels, width, layers, norm)
    parts |= {"avgpool": nn.AdaptiveAvgPool2d(GRID), "flatten": nn.Flatten()}
    hidden = HIDDEN * width
    first = [nn.Linear(FACTORS[-1] * width * GRID**2, hidden), nn.ReLU(), nn.Dropout(0.5)]
    second = [nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(0.5)]
    parts["classifier"] = nn.Sequential(*first, *second, nn.Linear(hidden, classes))
    return nn.Sequential(parts)


def _convolutions(channels: int, width: int, layers: int, norm: bool) -> OrderedDict[str, nn.Module]:
    """features: five stages of padded 3×3 convolutions, each with a 2×2 maximum at its end."""
    found: list[nn.Module] = []
    before = channels
    for factor, repeat in zip(FACTORS, SIZES[layers].repeats, strict=True):
        after = factor * width
        for _ in range(repeat):
            found += [nn.Conv2d(before, after, 3, padding=1), *([nn.BatchNorm2d(after)] if norm else []), nn.ReLU()]
            before = after
        found.append(nn.MaxPool2d(2))
    return OrderedDict(features=nn.Sequential(*found))


@dataclass(frozen=True)
class Size:
    """Convolutions of each stage, and parameters as published: small images with BatchNorm, torchvision without and with."""

    repeats: tuple[int, ...]
    small_bn: int
    torchvision: int
    torchvision_bn: int


SIZES = {
    11: Size((1, 1, 2, 2, 2), 9_231_114, 132_863_336, 132_868_840),
    13: Size((2, 2, 2, 2, 2), 9_416_010, 133_047_848, 133_053_736),
    16: Size((2, 2, 3, 3, 3), 14_728_266, 138_357_544, 138_365_992),
    19: Size((2, 2, 4, 4, 4), 20_040_522, 143_667_240, 143_678_248),
}
WIDTH = Choice(64, range(1, 257), "the channels of the first stage")


def _small(layers: int, norm: bool) -> Architecture:
    published = SIZES[layers].small_bn if norm else None
    count = f", as in kuangliu's pytorch-cifar VGG{layers}: {published:,}" if published else ""
    source = f"Simonyan and Zisserman (2015), torchvision's convolutions and one linear layer{count}"
    return Architecture(partial(vgg, layers=layers, norm=norm), draw, 32, source, published, width=WIDTH)


def _torchvision(layers: int, norm: bool) -> Architecture:
    published = SIZES[layers].torchvision_bn if norm else SIZES[layers].torchvision
    source = f"torchvision vgg{layers}{'_bn' if norm else ''}: {published:,}"
    make = partial(tv_vgg, layers=layers, norm=norm)
    return Architecture(make, draw, 32, source, published, width=WIDTH, classes=1000, size=224)


KINDS = [(layers, norm) for norm in (False, True) for layers in SIZES]
VGGS = {f"vgg{layers}{'_bn' if norm else ''}": _small(layers, norm) for layers, norm in KINDS} | {
    f"tv_vgg{layers}{'_bn' if norm else ''}": _torchvision(layers, norm) for layers, norm in KINDS
}
