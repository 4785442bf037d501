"""Owns mCNN, the four-layer plain network of Godfrey et al. (2022), after Page's "how to train your ResNet", and its kin."""

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial

from torch import nn

from repsim.models.architecture import Architecture, Choice
from repsim.models.initial import default

DOUBLING, CONSTANT = (1, 2, 4, 8), (1, 1, 1, 1)  # channels of the four convolutions, in widths


def mcnn(
    classes: int,
    channels: int,
    width: int,
    factors: Sequence[int] = DOUBLING,
    norm: bool = True,
    activation: type[nn.Module] = nn.ReLU,
) -> nn.Sequential:
    """conv1, bn1, relu1 … conv4, bn4, relu4 with pool2, pool3, pool4 between, then pool, flatten, fc.

    Convolutions are 3×3, padded, with c times the `factors` channels, c = `width`, and have a bias where there is no
    BatchNorm. pool2 … pool4 are 2×2 maxima after blocks 2 … 4. The last pool is the maximum over what is left: the 4×4
    maximum of the paper at 32 pixels, and defined for every input of 8 pixels or more.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    before = channels
    for i, factor in enumerate(factors, start=1):
        after = factor * width
        layers[f"conv{i}"] = nn.Conv2d(before, after, 3, padding=1, bias=not norm)
        if norm:
            layers[f"bn{i}"] = nn.BatchNorm2d(after)
        layers[f"{activation.__name__.lower()}{i}"] = activation()
        if i > 1:
            layers[f"pool{i}"] = nn.MaxPool2d(2)
        before = after
    layers["pool"] = nn.AdaptiveMaxPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["fc"] = nn.Linear(before, classes)
    return nn.Sequential(layers)


def _kin(what: str, default_width: int = 64, **parts) -> Architecture:
    means = "the channels of the first block" if "factors" not in parts else "the channels of every block"
    source = f"Godfrey et al. (2022) and their modelsym, {what}"
    return Architecture(partial(mcnn, **parts), default, 8, source, width=Choice(default_width, range(1, 513), means))


MCNNS = {
    "mcnn": _kin("mCNN"),
    "mcnn_nobn": _kin("mCNN without BatchNorm", norm=False),
    "mcnn_sigmoid": _kin("mCNN with sigmoids, without BatchNorm", norm=False, activation=nn.Sigmoid),
    "cwcnn": _kin("cwCNN: constant width", 512, factors=CONSTANT),
}
