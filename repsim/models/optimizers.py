"""Owns the optimizers of a training: which numbers they act on, how fast, and how long a gradient may be."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from repsim.models.learner import Learner
from repsim.models.recipes import Recipe


def optimizer(learner: Learner, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD has Nesterov momentum; Adam and AdamW their usual constants. Weight decay acts where the recipe says."""
    groups = _groups(learner, recipe)
    fused = True if next(iter(learner.trained.values())).is_cuda else None
    if recipe.optimizer == "sgd":
        nesterov = recipe.momentum > 0
        return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=nesterov, fused=fused)
    return (torch.optim.Adam if recipe.optimizer == "adam" else torch.optim.AdamW)(groups, lr=recipe.lr, fused=fused)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Every parameter's rate for the next step; `rate` is that of the weights."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]


def clip(learner: Learner, longest: float) -> None:
    """g ← g · min(1, longest / ‖g‖) for each network, ‖g‖ over all its parameters (Pascanu et al. 2013)."""
    learner.scale((longest / (learner.norms() + 1e-6)).clamp(max=1.0))


def _groups(learner: Learner, recipe: Recipe) -> list[dict[str, object]]:
    """Parameters by decay and rate; a rate times s goes with a decay over s, so that each step takes as much of a bias."""
    scaled = _norm_biases(learner.networks[0]) if recipe.bias_lr_scale != 1 else set()
    sorted_: dict[tuple[float, float], list[Tensor]] = {}
    for name, value in learner.trained.items():
        scale = recipe.bias_lr_scale if name in scaled else 1.0
        decay = recipe.weight_decay / scale if recipe.decays == "all" or name.endswith("weight") else 0.0
        sorted_.setdefault((decay, scale), []).append(value)
    return [{"params": values, "weight_decay": decay, "scale": scale} for (decay, scale), values in sorted_.items()]


def _norm_biases(network: nn.Module) -> set[str]:
    norms: Sequence[str] = [n for n, m in network.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    return {f"{name}.bias" for name in norms}
