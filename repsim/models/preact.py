"""Owns the residual networks that norm before they convolve: He et al. (2016b), and wide ones (Zagoruyko and Komodakis 2016).

Every body is conv1, layer1.0 …, bn, relu, avgpool, flatten, fc; `layer1.0.add` and its like are the blocks' values.
"""

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from repsim.models.architecture import Architecture, Choice
from repsim.models.initial import default, he_outgoing_unbiased
from repsim.models.resnet import CHANNELS, Add


class Block(nn.Module):
    """conv2(relu2(bn2(conv1(z)))) + shortcut, z = relu1(bn1(x)); the shortcut is x, or a 1×1 convolution of z."""

    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(before)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.relu2 = nn.ReLU()
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        changes = stride != 1 or before != after
        self.downsample = nn.Conv2d(before, after, 1, stride=stride, bias=False) if changes else None
        self.add = Add()

    def forward(self, x: Tensor) -> Tensor:
        """(n, before, h, w) → (n, after, ⌈h/stride⌉, ⌈w/stride⌉)."""
        z = self.relu1(self.bn1(x))
        skipped = x if self.downsample is None else self.downsample(z)
        y = self.conv2(self.relu2(self.bn2(self.conv1(z))))
        return self.add(y, skipped)


def preact(classes: int, channels: int, stem: int, stages: Sequence[int], repeat: int) -> nn.Sequential:
    """A 3×3 convolution to `stem` channels, then stages of `repeat` blocks; all stages but the first halve the map."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(conv1=nn.Conv2d(channels, stem, 3, padding=1, bias=False))
    before = stem
    for i, after in enumerate(stages, start=1):
        first = Block(before, after, 1 if i == 1 else 2)
        layers[f"layer{i}"] = nn.Sequential(first, *(Block(after, after, 1) for _ in range(repeat - 1)))
        before = after
    layers |= {"bn": nn.BatchNorm2d(before), "relu": nn.ReLU(), "avgpool": nn.AdaptiveAvgPool2d(1)}
    layers |= {"flatten": nn.Flatten(), "fc": nn.Linear(before, classes)}
    return nn.Sequential(layers)


def preactresnet18(classes: int, channels: int, width: int) -> nn.Sequential:
    """Four stages of two blocks, with 1, 2, 4 and 8 times `width` channels."""
    return preact(classes, channels, width, [width, 2 * width, 4 * width, 8 * width], 2)


def wide_resnet(classes: int, channels: int, width: int, layers: int) -> nn.Sequential:
    """WRN-`layers`-`width`: three stages of (layers − 4)/6 blocks, with 16, 32 and 64 channels times `width`."""
    return preact(classes, channels, 16, [16 * width, 32 * width, 64 * width], (layers - 4) // 6)


WIDE = {28: 36_479_194, 34: 46_160_474}  # layers → parameters of the network that is ten times as wide


def _wide(layers: int) -> Architecture:
    source = f"Zagoruyko and Komodakis (2016), WRN-{layers}-10: {WIDE[layers]:,}"
    width = Choice(10, range(1, 21), "the widening factor, of 16, 32 and 64 channels")
    return Architecture(partial(wide_resnet, layers=layers), he_outgoing_unbiased, 8, source, WIDE[layers], width=width)


PREACTS = {
    "preactresnet18": Architecture(
        preactresnet18,
        default,
        8,
        "He et al. (2016b) with a 3×3 stem and the last norm, as in RobustBench (bn_before_fc): 11,172,170",
        11_172_170,
        width=CHANNELS,
    )
} | {f"wide_resnet_{layers}_10": _wide(layers) for layers in WIDE}
