"""Owns mCNN, the four-layer plain network of Godfrey et al. (2022), after Page's "how to train your ResNet"."""

from collections import OrderedDict

from torch import nn


def mcnn(classes: int, channels: int, width: int = 64) -> nn.Sequential:
    """conv1, bn1, relu1 … conv4, bn4, relu4 with pool2, pool3, pool4 between, then pool, flatten, fc.

    Convolutions are 3×3, padded, without bias, with c, 2c, 4c and 8c channels, c = `width`. pool2 … pool4 are
    2×2 maxima after blocks 2 … 4. The last pool is the maximum over what is left: the 4×4 maximum of the paper
    at 32 pixels, and defined for every input of 8 pixels or more.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    before = channels
    for i, after in enumerate((width, 2 * width, 4 * width, 8 * width), start=1):
        layers[f"conv{i}"] = nn.Conv2d(before, after, 3, padding=1, bias=False)
        layers[f"bn{i}"] = nn.BatchNorm2d(after)
        layers[f"relu{i}"] = nn.ReLU()
        if i > 1:
            layers[f"pool{i}"] = nn.MaxPool2d(2)
        before = after
    layers["pool"] = nn.AdaptiveMaxPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["fc"] = nn.Linear(before, classes)
    return nn.Sequential(layers)
