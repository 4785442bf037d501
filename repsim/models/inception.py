"""Owns Inception v1 (Szegedy et al. 2015), as torchvision's GoogLeNet without the auxiliary heads."""

from functools import partial

from torch import Tensor, nn

from repsim.models.architecture import Architecture
from repsim.models.initial import googlenet


class Unit(nn.Module):
    """relu(bn(conv(x))), with torchvision's parameter names; its ReLU is a layer, and not in place."""

    def __init__(self, before: int, after: int, kernel_size: int, stride: int = 1, padding: int = 0):
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel_size, stride=stride, padding=padding, bias=False)
        self.bn = nn.BatchNorm2d(after, eps=0.001)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(n, before, h, w) → (n, after, ⌊(h + 2·padding − kernel_size)/stride⌋ + 1, the same for w)."""
        return self.relu(self.bn(self.conv(x)))


def inception_v1(classes: int, channels: int) -> nn.Module:
    """conv1, maxpool1, conv2, conv3, maxpool2, inception3a … inception5b, avgpool, fc; the branches of a block side by side."""
    from torchvision.models.googlenet import GoogLeNet, Inception, InceptionAux  # seconds to import, and only here of use

    blocks = [Unit, partial(Inception, conv_block=Unit), InceptionAux]
    body = GoogLeNet(classes, aux_logits=False, init_weights=False, blocks=blocks)
    body.conv1 = Unit(channels, 64, kernel_size=7, stride=2, padding=3)
    return body


INCEPTIONS = {
    "inception_v1": Architecture(
        inception_v1,
        googlenet,
        32,
        "Szegedy et al. (2015), torchvision googlenet without auxiliary heads: 6,624,904",
        6_624_904,
        classes=1000,
        size=224,
    )
}
