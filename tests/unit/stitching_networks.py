"""Small networks with batch-norm statistics of their own, copies of them whose difference is known, and images."""

import copy

import torch

from repsim.models.network import Facts, Network
from repsim.models.zoo import build
from repsim.stitching.engine import Feed


def network(arch: str = "tiny10", seed: int = 0, width: int | None = None) -> Network:
    """Random weights that keep the size of activations; batch norms (in eval mode) that change every channel in its own way."""
    generator = torch.Generator().manual_seed(seed)
    made = build(Facts(arch, width, 10, 3, 32), (0.5, 0.4, 0.3), (0.2, 0.3, 0.2), generator).eval()
    for module in made.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, generator=generator)
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3, generator=generator)
            module.running_var.uniform_(0.5, 2.0, generator=generator)
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0, 0.3, generator=generator)
    return made


def shuffled_copy(tiny10: Network, layer: int, order: torch.Tensor, scales: torch.Tensor | None = None) -> Network:
    """The same function; channel j behind relu`layer` is channel order[j] of the original, times scales[j]."""
    twin = copy.deepcopy(tiny10)
    scales = torch.ones(len(order)) if scales is None else scales
    conv, norm, following = (getattr(twin.body, name) for name in (f"conv{layer}", f"bn{layer}", f"conv{layer + 1}"))
    with torch.no_grad():
        for tensor in (conv.weight, conv.bias, norm.running_mean, norm.running_var):
            tensor.copy_(tensor[order].clone())
        norm.weight.copy_(norm.weight[order] * scales)
        norm.bias.copy_(norm.bias[order] * scales)
        following.weight.copy_(following.weight[:, order] / scales[:, None, None])
    return twin


def images(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """x (n, 3, 32, 32) in [0, 1], smooth enough to tell channels apart, and labels (n,)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, 3, 8, 8, generator=generator)
    x = torch.nn.functional.interpolate(coarse, size=32, mode="bilinear").contiguous(memory_format=torch.channels_last)
    return x, torch.randint(10, (n,), generator=generator)


def feed(train: int = 24, batch: int = 8, held_out: int = 16, keep: bool = False, shuffle_seed: int = 0) -> Feed:
    """Random images; the order of each epoch comes from one generator, as in a job."""
    x, y = images(train, seed=1)
    test = images(held_out, seed=2)
    generator = torch.Generator().manual_seed(shuffle_seed)

    def shuffled():
        for index in torch.randperm(train, generator=generator).split(batch):
            yield x[index], y[index], index

    return Feed(
        shuffled=shuffled,
        training=lambda: zip(x.split(batch), y.split(batch), strict=True),
        matching=lambda: zip(x.split(batch), y.split(batch), strict=True),
        test=lambda: [test],
        validation=lambda: [images(held_out, seed=3)],
        images=train if keep else 0,
    )


def rotated_copy(tiny10: Network, norm: str, seed: int) -> tuple[Network, torch.Tensor]:
    """The same function with the value behind `norm` turned by a random orthogonal matrix, and turned back before the ReLU."""
    twin, width = copy.deepcopy(tiny10), getattr(tiny10.body, norm).num_features
    rotation = torch.linalg.qr(torch.randn(width, width, generator=torch.Generator().manual_seed(seed)).double()).Q.float()
    relu = norm.replace("bn", "relu")
    setattr(twin.body, norm, torch.nn.Sequential(getattr(twin.body, norm), _turn(rotation)))
    setattr(twin.body, relu, torch.nn.Sequential(_turn(rotation.T), getattr(twin.body, relu)))
    return twin, rotation


def _turn(matrix: torch.Tensor) -> torch.nn.Conv2d:
    conv = torch.nn.Conv2d(*matrix.shape, 1, bias=False)
    conv.weight.data.copy_(matrix[:, :, None, None])
    return conv
