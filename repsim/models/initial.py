"""Owns the first weights of a network: every parameter is drawn from a given generator."""

import math
from collections.abc import Callable

import torch
from torch import nn

Draw = Callable[[nn.Conv2d | nn.Linear, torch.Generator], None]


def initialise(body: nn.Module, draw: Draw, generator: torch.Generator) -> None:
    """Set every parameter and buffer of `body`, in the order of its modules.

    Convolutions and linear layers by `draw`, their biases by PyTorch's rule, BatchNorm to the identity.
    """
    for module in body.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            draw(module, generator)
            _default_bias(module, generator)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        else:  # whatever is not set here would be left as memory happened to be
            assert not [*module.parameters(recurse=False), *module.buffers(recurse=False)], type(module)


def default(module: nn.Conv2d | nn.Linear, generator: torch.Generator) -> None:
    """U(−1/√fan_in, 1/√fan_in): what PyTorch does by itself."""
    nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5), generator=generator)


def he(module: nn.Conv2d | nn.Linear, generator: torch.Generator) -> None:
    """N(0, 2/fan_in) for every layer: He et al. (2015), as in Godfrey et al. (2022)."""
    nn.init.kaiming_normal_(module.weight, generator=generator)


def he_outgoing(module: nn.Conv2d | nn.Linear, generator: torch.Generator) -> None:
    """N(0, 2/fan_out) for convolutions, PyTorch's rule for the last layer: Csiszárik et al. (2021)."""
    if isinstance(module, nn.Linear):
        return default(module, generator)
    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
    return None


def _default_bias(module: nn.Conv2d | nn.Linear, generator: torch.Generator) -> None:
    """U(−1/√fan_in, 1/√fan_in)."""
    if module.bias is None:
        return
    bound = 1 / math.sqrt(module.weight[0].numel())
    nn.init.uniform_(module.bias, -bound, bound, generator=generator)
