"""Owns the compact convolutional transformers of Hassani et al. (2021), with their published parameter names."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repsim.models.architecture import Architecture, Choice
from repsim.models.attention import Attention
from repsim.models.initial import compact_transformer

HEAD = 64  # channels
STEM = 64  # channels of all convolutions but the last
ATTENTION_DROPOUT = 0.1
DROP_PATH = 0.1  # of the last block; the first has none


class DropPath(nn.Module):
    """In train mode, each image's value is 0 with the given probability p, else divided by 1 − p: stochastic depth."""

    def __init__(self, probability: float):
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.probability:
            return x
        return x * F.dropout(x.new_ones(len(x), *[1] * (x.ndim - 1)), self.probability)


class Tokenizer(nn.Module):
    """conv_layers.0 … of a 3×3 convolution without bias, ReLU and 3×3 maximum with stride 2; then pixels become tokens."""

    def __init__(self, channels: int, after: int, convolutions: int):
        super().__init__()
        sizes = [channels, *[STEM] * (convolutions - 1), after]
        self.conv_layers = nn.Sequential(*map(_convolution, sizes[:-1], sizes[1:]))

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) → (n, tokens, after)."""
        return self.conv_layers(x).flatten(2).transpose(1, 2)


class Block(nn.Module):
    """y = norm1(x + self_attn(pre_norm(x))), then y + linear2(gelu(linear1(y))); x (n, t, d)."""

    def __init__(self, heads: int, drop_path: float):
        super().__init__()
        size = heads * HEAD
        self.pre_norm, self.self_attn = nn.LayerNorm(size), Attention(size, HEAD, bias=False, dropout=ATTENTION_DROPOUT)
        self.norm1, self.linear1 = nn.LayerNorm(size), nn.Linear(size, 2 * size)
        self.activation, self.linear2 = nn.GELU(), nn.Linear(2 * size, size)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x + self.drop_path(self.self_attn(self.pre_norm(x))))
        return y + self.drop_path(self.linear2(self.activation(self.linear1(y))))


class Classifier(nn.Module):
    """blocks.0 …, norm, then the mean of the tokens, weighted by the softmax of attention_pool, and fc."""

    def __init__(self, tokens: int, heads: int, depth: int, classes: int):
        super().__init__()
        size = heads * HEAD
        self.positional_emb = nn.Parameter(torch.empty(1, tokens, size))
        self.blocks = nn.Sequential(*(Block(heads, DROP_PATH * i / max(1, depth - 1)) for i in range(depth)))
        self.norm = nn.LayerNorm(size)
        self.attention_pool = nn.Linear(size, 1)
        self.fc = nn.Linear(size, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(n, tokens, d) → (n, classes)."""
        x = self.norm(self.blocks(x + self.positional_emb))
        weights = self.attention_pool(x).softmax(1)
        return self.fc((weights.transpose(1, 2) @ x).flatten(1))


class CompactTransformer(nn.Module):
    """tokenizer, classifier."""

    def __init__(self, tokenizer: Tokenizer, classifier: Classifier):
        super().__init__()
        self.tokenizer, self.classifier = tokenizer, classifier

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) → (n, classes)."""
        return self.classifier(self.tokenizer(x))


def cct(classes: int, channels: int, size: int, width: int, depth: int, convolutions: int) -> CompactTransformer:
    """CCT-`depth`/3×`convolutions` with `width` heads of 64 channels; every convolution halves the side of the token grid."""
    side = size
    for _ in range(convolutions):
        side = (side + 1) // 2
    return CompactTransformer(Tokenizer(channels, HEAD * width, convolutions), Classifier(side**2, width, depth, classes))


def _convolution(before: int, after: int) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1))


def _seven(convolutions: int, published: int) -> Architecture:
    source = f"Hassani et al. (2021), table 1, CCT-7/3×{convolutions}: {published / 1e6:.2f} M (rounded)"
    width, depth = Choice(4, range(1, 17), f"heads of {HEAD} channels"), Choice(7, range(1, 25), "blocks")
    make = partial(cct, convolutions=convolutions)
    return Architecture(make, compact_transformer, 4, source, published, 10_000, width=width, depth=depth)


CCTS = {"cct_7_3x1": _seven(1, 3_760_000), "cct_7_3x2": _seven(2, 3_850_000)}
