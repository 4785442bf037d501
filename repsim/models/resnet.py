"""Owns the residual networks of He et al. (2016): for small images with either shortcut, and as torchvision has them.

Every body is conv1, bn1, relu1, layer1.0 …, avgpool, flatten, fc, with torchvision's parameter names; what torchvision's
classes lack is here: a width, any number of input channels, the stem for small images, and a name for every sum and ReLU.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from repsim.models.architecture import Architecture, Choice
from repsim.models.initial import he, he_outgoing

Shortcut = Callable[[int, int, int], nn.Module]  # (channels before, channels after, stride) → module
Layers = OrderedDict[str, nn.Module]


class PadShortcut(nn.Module):
    """Option A: every second pixel (stride 2), and zero channels on both sides; no parameters."""

    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        self.below, self.above, self.stride = (after - before) // 2, (after - before + 1) // 2, stride

    def forward(self, x: Tensor) -> Tensor:
        """(n, before, h, w) → (n, after, ⌈h/stride⌉, ⌈w/stride⌉)."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.below, self.above))


def project_shortcut(before: int, after: int, stride: int) -> nn.Sequential:
    """Option B: 1×1 convolution, then BatchNorm."""
    return nn.Sequential(nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after))


class Add(nn.Module):
    """x + y, as a module so that the sum has a name."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


class Basic(nn.Module):
    """relu2(bn2(conv2(relu1(bn1(conv1(x))))) + shortcut(x)); a shortcut of None is the identity."""

    expansion = 1  # channels after the block per channel inside

    def __init__(self, before: int, inside: int, stride: int, shortcut: nn.Module | None):
        super().__init__()
        self.conv1 = nn.Conv2d(before, inside, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(inside)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(inside, inside, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inside)
        self.downsample = shortcut
        self.add = Add()
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(n, before, h, w) → (n, inside, ⌈h/stride⌉, ⌈w/stride⌉)."""
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        skipped = x if self.downsample is None else self.downsample(x)
        return self.relu2(self.add(y, skipped))


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions, the stride at the second, as torchvision has it; four times as many channels after."""

    expansion = 4

    def __init__(self, before: int, inside: int, stride: int, shortcut: nn.Module | None):
        super().__init__()
        self.conv1 = nn.Conv2d(before, inside, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inside)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(inside, inside, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inside)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(inside, 4 * inside, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * inside)
        self.downsample = shortcut
        self.add = Add()
        self.relu3 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(n, before, h, w) → (n, 4·inside, ⌈h/stride⌉, ⌈w/stride⌉)."""
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.relu2(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        skipped = x if self.downsample is None else self.downsample(x)
        return self.relu3(self.add(y, skipped))


def resnet(
    classes: int,
    channels: int,
    width: int,
    block: type[Basic | Bottleneck],
    repeats: Sequence[int],
    small: bool = True,
    shortcut: Shortcut = project_shortcut,
) -> nn.Sequential:
    """Stages of `repeats` blocks with width, 2·width, 4·width … channels inside; all stages but the first halve the map.

    Args:
        width: channels of the stem.
        small: a 3×3 stem; else torchvision's, 7×7 with stride 2 and a 3×3 maximum with stride 2.
    """
    layers, before = _stem(channels, width, small), width
    for stage, repeat in enumerate(repeats):
        inside = width * 2**stage
        layers[f"layer{stage + 1}"] = _stage(block, before, inside, 1 if stage == 0 else 2, repeat, shortcut)
        before = inside * block.expansion
    layers["avgpool"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["fc"] = nn.Linear(before, classes)
    return nn.Sequential(layers)


def small_resnet(classes: int, channels: int, width: int, repeats: int, shortcut: Shortcut) -> nn.Sequential:
    """Section 4.2 of the paper: three stages of `repeats` basic blocks, with 16, 32 and 64 channels times `width`."""
    return resnet(classes, channels, 16 * width, Basic, [repeats] * 3, shortcut=shortcut)


def _stem(channels: int, width: int, small: bool) -> Layers:
    """conv1, bn1, relu1, and maxpool for large images."""
    layers: Layers = OrderedDict()
    size, stride = (3, 1) if small else (7, 2)
    layers["conv1"] = nn.Conv2d(channels, width, size, stride=stride, padding=size // 2, bias=False)
    layers["bn1"] = nn.BatchNorm2d(width)
    layers["relu1"] = nn.ReLU()
    if not small:
        layers["maxpool"] = nn.MaxPool2d(3, stride=2, padding=1)
    return layers


def _stage(
    block: type[Basic | Bottleneck], before: int, inside: int, stride: int, repeat: int, shortcut: Shortcut
) -> nn.Sequential:
    """`repeat` blocks; the first one has the stride, and a shortcut where it changes the shape."""
    after = inside * block.expansion
    changes = stride != 1 or before != after
    first = block(before, inside, stride, shortcut(before, after, stride) if changes else None)
    return nn.Sequential(first, *(block(after, inside, 1, None) for _ in range(repeat - 1)))


# depth → (blocks per stage, parameters in millions as published)
SMALL = {20: (3, 270_000), 32: (5, 460_000), 44: (7, 660_000), 56: (9, 850_000)}
# depth → (block, blocks per stage, parameters with the stem for small images, parameters in torchvision)
DEEP = {
    18: (Basic, (2, 2, 2, 2), 11_173_962, 11_689_512),
    34: (Basic, (3, 4, 6, 3), 21_282_122, 21_797_672),
    50: (Bottleneck, (3, 4, 6, 3), 23_520_842, 25_557_032),
    101: (Bottleneck, (3, 4, 23, 3), 42_512_970, 44_549_160),
    152: (Bottleneck, (3, 8, 36, 3), 58_156_618, 60_192_808),
}
TIMES = Choice(1, range(1, 17), "a multiplier of 16, 32 and 64 channels")
CHANNELS = Choice(64, range(1, 513), "the channels of the first stage, inside its blocks")


def _option_a(depth: int) -> Architecture:
    repeats, published = SMALL[depth]
    make = partial(small_resnet, repeats=repeats, shortcut=PadShortcut)
    source = f"He et al. (2016), section 4.2 and table 6, option A: {published / 1e6:.2f} M (rounded)"
    return Architecture(make, he, 8, source, published, 10_000, TIMES)


def _option_b(depth: int) -> Architecture:
    make = partial(small_resnet, repeats=SMALL[depth][0], shortcut=project_shortcut)
    return Architecture(make, he_outgoing, 8, "He et al. (2016), section 4.2, option B, as in Csiszárik et al. (2021)", width=TIMES)


def _small_stem(depth: int) -> Architecture:
    block, repeats, published, _ = DEEP[depth]
    source = f"He et al. (2016) with a 3×3 stem, as in kuangliu's pytorch-cifar ResNet{depth}: {published:,}"
    return Architecture(partial(resnet, block=block, repeats=repeats), he_outgoing, 8, source, published, width=CHANNELS)


def _torchvision(depth: int) -> Architecture:
    block, repeats, _, published = DEEP[depth]
    make, source = partial(resnet, block=block, repeats=repeats, small=False), f"torchvision resnet{depth}: {published:,}"
    return Architecture(make, he_outgoing, 32, source, published, width=CHANNELS, classes=1000, size=224)


RESNETS = (
    {f"resnet{depth}": _option_a(depth) for depth in SMALL}
    | {f"resnet{depth}_b": _option_b(depth) for depth in SMALL}
    | {f"resnet{depth}": _small_stem(depth) for depth in DEEP}
    | {f"tv_resnet{depth}": _torchvision(depth) for depth in DEEP}
)
