"""Owns the robust vision transformer (Mao et al. 2022) in the form of Balogh and Jelasity (2023), with its parameter names.

Against a plain one: a convolutional stem, no class token and no positions, depthwise convolutions inside the MLPs, and a
second stage of fewer, wider tokens.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from repsim.models.architecture import Architecture, Choice
from repsim.models.attention import Attention
from repsim.models.initial import default

HEAD = 32  # channels
DEPTHS = (10, 2)  # blocks of the two stages
STEM = 32  # channels


class Mlp(nn.Module):
    """fc1, bn1, act1, dwconv, bn2, act2, fc2, bn3 on the grid of tokens; the 3×3 dwconv has a kernel for each channel."""

    def __init__(self, size: int, side: int):
        super().__init__()
        hidden = 4 * size
        self.grid = (side, side)
        self.fc1, self.bn1 = nn.Conv2d(size, hidden, 1), nn.BatchNorm2d(hidden)
        self.dwconv, self.bn2 = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden), nn.BatchNorm2d(hidden)
        self.act1, self.act2 = nn.GELU(), nn.GELU()
        self.fc2, self.bn3 = nn.Conv2d(hidden, size, 1), nn.BatchNorm2d(size)

    def forward(self, x: Tensor) -> Tensor:
        """(n, side², d) → the same shape."""
        y = self.act1(self.bn1(self.fc1(x.transpose(1, 2).unflatten(2, self.grid))))
        y = self.act2(self.bn2(self.dwconv(y)))
        return self.bn3(self.fc2(y)).flatten(2).transpose(1, 2)


class Block(nn.Module):
    """y = x + attn(norm1(x)), then y + mlp(norm2(y)); x (n, t, d)."""

    def __init__(self, size: int, side: int):
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(size, eps=1e-6), Attention(size, HEAD)
        self.norm2, self.mlp = nn.LayerNorm(size, eps=1e-6), Mlp(size, side)

    def forward(self, x: Tensor) -> Tensor:
        y = x + self.attn(self.norm1(x))
        return y + self.mlp(self.norm2(y))


class Stage(nn.Module):
    """A map becomes tokens for blocks.0 …, and a map again: (n, d, side, side) → the same shape."""

    def __init__(self, size: int, side: int, depth: int):
        super().__init__()
        self.grid = (side, side)
        self.blocks = nn.Sequential(*(Block(size, side) for _ in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, self.grid)


class Pool(nn.Module):
    """A 3×3 convolution with stride 2 that makes two channels of each."""

    def __init__(self, size: int):
        super().__init__()
        self.conv = nn.Conv2d(size, 2 * size, 3, stride=2, padding=1, groups=size)

    def forward(self, x: Tensor) -> Tensor:
        """(n, d, h, w) → (n, 2·d, ⌈h/2⌉, ⌈w/2⌉)."""
        return self.conv(x)


class Embedding(nn.Module):
    """proj: a 7×7 convolution with stride 2, BatchNorm, 3×3 maximum with stride 2, 4×4 convolution with stride 4."""

    def __init__(self, channels: int, size: int):
        super().__init__()
        first = [nn.Conv2d(channels, STEM, 7, stride=2, padding=2), nn.BatchNorm2d(STEM)]
        self.proj = nn.Sequential(*first, nn.MaxPool2d(3, stride=2, padding=1), nn.Conv2d(STEM, size, 4, stride=4))

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) → (n, d, side, side)."""
        return self.proj(x)


class RobustViT(nn.Module):
    """patch_embed, transformers.0, pools.0, transformers.1, gap, norm, head."""

    def __init__(self, channels: int, size: int, side: int, depths: Sequence[int], classes: int):
        super().__init__()
        self.patch_embed = Embedding(channels, size)
        self.transformers = nn.ModuleList([Stage(size, side, depths[0]), Stage(2 * size, (side + 1) // 2, depths[1])])
        self.pools = nn.ModuleList([Pool(size)])
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.norm = nn.LayerNorm(2 * size, eps=1e-6)
        self.head = nn.Linear(2 * size, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) → (n, classes)."""
        x = self.transformers[0](self.patch_embed(x))
        x = self.transformers[1](self.pools[0](x))
        return self.head(self.norm(self.gap(x).flatten(1)))


def robust_vit(classes: int, channels: int, size: int, width: int) -> RobustViT:
    """`width` heads of 32 channels in the ten blocks of the first stage, twice as many in the two of the second."""
    halved = (size - 3) // 2 + 1  # by the 7×7 convolution
    side = ((halved + 1) // 2) // 4  # by the maximum, then by the 4×4 convolution
    return RobustViT(channels, HEAD * width, side, DEPTHS, classes)


ROBUST_VITS = {
    "robust_vit": Architecture(
        robust_vit,
        default,
        16,
        "Mao et al. (2022), in the form of Balogh and Jelasity (2023), robust-stitching's rvit",
        width=Choice(6, range(1, 17), f"heads of {HEAD} channels in the first stage; the second has twice as many"),
    )
}
