"""Owns the first weights of a network: every parameter is drawn from a given generator."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

CUT = 0.87962566103423978  # standard deviation of N(0, 1) cut at ±2
Draw = Callable[[nn.Module, torch.Generator], None]


def initialise(body: nn.Module, draw: Draw, generator: torch.Generator) -> None:
    """Set every parameter and buffer of `body`, in the order of its modules: norms to the identity, all else by `draw`."""
    for module in body.modules():
        if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            module.reset_parameters()
        elif [*module.parameters(recurse=False), *module.buffers(recurse=False)]:
            draw(module, generator)


def default(module: nn.Module, generator: torch.Generator) -> None:
    """U(−1/√fan_in, 1/√fan_in): what PyTorch does by itself."""
    nn.init.kaiming_uniform_(_layer(module).weight, a=math.sqrt(5), generator=generator)
    _default_bias(module, generator)


def he(module: nn.Module, generator: torch.Generator) -> None:
    """N(0, 2/fan_in) for every layer: He et al. (2015), as in Godfrey et al. (2022); biases by PyTorch's rule."""
    nn.init.kaiming_normal_(_layer(module).weight, generator=generator)
    _default_bias(module, generator)


def he_outgoing(module: nn.Module, generator: torch.Generator) -> None:
    """N(0, 2/fan_out) for convolutions, PyTorch's rule for the last layer and biases: Csiszárik et al. (2021)."""
    if isinstance(module, nn.Linear):
        return default(module, generator)
    nn.init.kaiming_normal_(_layer(module).weight, mode="fan_out", nonlinearity="relu", generator=generator)
    return _default_bias(module, generator)


def he_outgoing_unbiased(module: nn.Module, generator: torch.Generator) -> None:
    """N(0, 2/fan_out) for convolutions, PyTorch's rule for the last layer, biases 0: Zagoruyko and Komodakis (2016)."""
    he_outgoing(module, generator)
    _no_bias(module)


def vgg(module: nn.Module, generator: torch.Generator) -> None:
    """N(0, 2/fan_out) for convolutions, N(0, 0.01²) for linear layers, biases 0: torchvision's rule for VGG."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01, generator=generator)
    else:
        nn.init.kaiming_normal_(_layer(module).weight, mode="fan_out", nonlinearity="relu", generator=generator)
    _no_bias(module)


def googlenet(module: nn.Module, generator: torch.Generator) -> None:
    """N(0, 0.01²) for every layer, PyTorch's rule for the bias: torchvision's rule for GoogLeNet."""
    nn.init.trunc_normal_(_layer(module).weight, std=0.01, generator=generator)
    _default_bias(module, generator)


def lecun(module: nn.Module, generator: torch.Generator) -> None:
    """N(0, 1/fan_in), cut at two standard deviations and scaled back to that variance, biases 0: Flax's rule."""
    weight = _layer(module).weight
    std = 1 / (math.sqrt(weight[0].numel()) * CUT)
    nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std, generator=generator)
    _no_bias(module)


def transformer(module: nn.Module, generator: torch.Generator) -> None:
    """N(0, 0.02²) cut at ±2 and no bias for linear layers; the same for positions; N(0, 1e-6²) for the class token.

    This is timm's rule (weight_init=""). The patch embedding, a convolution, keeps PyTorch's.
    """
    if isinstance(module, nn.Conv2d):
        return default(module, generator)
    for name, parameter in module.named_parameters(recurse=False):
        TRANSFORMER[name](parameter, generator=generator)
    return None


def compact_transformer(module: nn.Module, generator: torch.Generator) -> None:
    """N(0, 2/fan_in) for convolutions; N(0, 0.02²) cut at ±2 and no bias for linear layers; N(0, 0.2²) for positions.

    The rule of Hassani et al. (2021).
    """
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, generator=generator)
    else:
        transformer(module, generator)


def _layer(module: nn.Module) -> nn.Conv2d | nn.Linear:
    """What is not set here would be left as memory happened to be."""
    assert isinstance(module, nn.Conv2d | nn.Linear), type(module)
    return module


def _default_bias(module: nn.Module, generator: torch.Generator) -> None:
    """U(−1/√fan_in, 1/√fan_in)."""
    weight, bias = _layer(module).weight, _layer(module).bias
    if bias is not None:
        bound = 1 / math.sqrt(weight[0].numel())
        nn.init.uniform_(bias, -bound, bound, generator=generator)


def _no_bias(module: nn.Module) -> None:
    bias = _layer(module).bias
    if bias is not None:
        nn.init.zeros_(bias)


def _zeros(parameter: torch.Tensor, generator: torch.Generator) -> None:
    nn.init.zeros_(parameter)


TRANSFORMER: dict[str, Callable[..., object]] = {
    "weight": partial(nn.init.trunc_normal_, std=0.02),
    "bias": _zeros,
    "pos_embed": partial(nn.init.trunc_normal_, std=0.02),
    "positional_emb": partial(nn.init.trunc_normal_, std=0.2),
    "cls_token": partial(nn.init.normal_, std=1e-6),
}
