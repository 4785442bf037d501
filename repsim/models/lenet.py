"""Owns the two oldest kinds of network in Csiszárik et al. (2021): LeNet and a dense network."""

from collections import OrderedDict

from torch import nn

from repsim.models.architecture import Architecture, Choice
from repsim.models.initial import default


def lenet(classes: int, channels: int, size: int, width: int) -> nn.Sequential:
    """conv1, relu1, pool1, conv2, relu2, pool2, flatten, fc1, relu3, fc2, relu4, fc3.

    Unpadded 5×5 convolutions with 6 and 16 channels, 2×2 maxima, then 120 and 84 units, all times `width`.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    first, second = 6 * width, 16 * width
    layers |= {"conv1": nn.Conv2d(channels, first, 5), "relu1": nn.ReLU(), "pool1": nn.MaxPool2d(2)}
    layers |= {"conv2": nn.Conv2d(first, second, 5), "relu2": nn.ReLU(), "pool2": nn.MaxPool2d(2)}
    side = ((size - 4) // 2 - 4) // 2
    layers |= {"flatten": nn.Flatten(), "fc1": nn.Linear(second * side**2, 120 * width), "relu3": nn.ReLU()}
    layers |= {"fc2": nn.Linear(120 * width, 84 * width), "relu4": nn.ReLU(), "fc3": nn.Linear(84 * width, classes)}
    return nn.Sequential(layers)


def dense(classes: int, channels: int, size: int, width: int, depth: int) -> nn.Sequential:
    """flatten, fc1, relu1 … for `depth` hidden layers of `width` units, then one fc more."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    before = channels * size**2
    for i in range(1, depth + 1):
        layers |= {f"fc{i}": nn.Linear(before, width), f"relu{i}": nn.ReLU()}
        before = width
    layers[f"fc{depth + 1}"] = nn.Linear(before, classes)
    return nn.Sequential(layers)


LENETS = {
    "lenet": Architecture(
        lenet,
        default,
        16,
        "LeCun et al. (1998) with ReLU and maxima, as in Csiszárik et al. (2021) and PyTorch's CIFAR-10 tutorial: 62,006",
        62_006,
        width=Choice(1, range(1, 17), "a multiplier of 6 and 16 channels, 120 and 84 units"),
    ),
    "dense": Architecture(
        dense,
        default,
        1,
        "Csiszárik et al. (2021), drfrankenstein",
        width=Choice(300, range(1, 4097), "the units of each hidden layer"),
        depth=Choice(3, range(1, 17), "hidden layers"),
    ),
}
