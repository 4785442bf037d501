"""Owns ResNet-20 for small images (He et al. 2016, section 4.2), with either shortcut."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

Shortcut = Callable[[int, int], nn.Module]  # (channels before, channels after) → module that halves the map
BLOCKS_PER_STAGE = 3


class PadShortcut(nn.Module):
    """Option A: every second pixel, and zero channels on both sides; no parameters."""

    def __init__(self, before: int, after: int):
        super().__init__()
        self.below, self.above = (after - before) // 2, (after - before + 1) // 2

    def forward(self, x: Tensor) -> Tensor:
        """(n, before, h, w) → (n, after, ⌈h/2⌉, ⌈w/2⌉)."""
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.below, self.above))


def project_shortcut(before: int, after: int) -> nn.Sequential:
    """Option B: 1×1 convolution with stride 2, then BatchNorm."""
    return nn.Sequential(nn.Conv2d(before, after, 1, stride=2, bias=False), nn.BatchNorm2d(after))


class Add(nn.Module):
    """x + y, as a module so that the sum has a name."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


class Block(nn.Module):
    """relu2(bn2(conv2(relu1(bn1(conv1(x))))) + shortcut(x)); a shortcut of None is the identity."""

    def __init__(self, before: int, after: int, shortcut: nn.Module | None):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=1 if shortcut is None else 2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.downsample = shortcut
        self.add = Add()
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(n, before, h, w) → (n, after, h, w), halved where there is a shortcut module."""
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        skipped = x if self.downsample is None else self.downsample(x)
        return self.relu2(self.add(y, skipped))


class ResNet20(nn.Module):
    """conv1, bn1, relu1, layer1.0 … layer3.2, avgpool, flatten, fc; 16, 32 and 64 channels times `width`."""

    def __init__(self, classes: int, channels: int, width: int, shortcut: Shortcut):
        super().__init__()
        first, second, third = 16 * width, 32 * width, 64 * width
        self.conv1 = nn.Conv2d(channels, first, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        self.relu1 = nn.ReLU()
        self.layer1 = _stage(first, first, None)
        self.layer2 = _stage(first, second, shortcut)
        self.layer3 = _stage(second, third, shortcut)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(third, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) → (n, classes)."""
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.flatten(self.avgpool(x)))


def resnet20(classes: int, channels: int, width: int = 1) -> ResNet20:
    """With zero-padded shortcuts (option A), as in the paper for CIFAR-10 and in Godfrey et al. (2022)."""
    return ResNet20(classes, channels, width, PadShortcut)


def resnet20_b(classes: int, channels: int, width: int = 1) -> ResNet20:
    """With 1×1 convolution and BatchNorm in the shortcuts (option B), as published by Csiszárik et al. (2021)."""
    return ResNet20(classes, channels, width, project_shortcut)


def _stage(before: int, after: int, shortcut: Shortcut | None) -> nn.Sequential:
    """Three blocks; the first one changes the number of channels where a shortcut is given."""
    first = Block(before, after, shortcut(before, after) if shortcut else None)
    return nn.Sequential(first, *(Block(after, after, None) for _ in range(BLOCKS_PER_STAGE - 1)))
