"""Owns the steps of a group: the update rules of torch.optim, for all stitchers of equal settings at once.

The rules are called as functions: the classes around them import torch's compiler, which takes two seconds of every process.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from repsim.stitching.runs import Training


class Moved(Protocol):
    """What is trained: a module (its `undecayed` parameters keep their size), and how."""

    @property
    def stitcher(self) -> Any: ...
    @property
    def training(self) -> Training: ...


@dataclass
class _Group:
    """Values that move alike, and what the rule remembers of each: Adam both averages and its count, SGD its momentum."""

    training: Training
    weight_decay: float
    values: list[Tensor] = field(default_factory=list)
    memory: dict[int, list[Tensor | None]] = field(default_factory=dict)


class Optimizers:
    """Both rules update each value on its own, so sharing one changes nothing; values without a gradient rest."""

    def __init__(self, runs: Iterable[Moved]):
        groups: dict[tuple[Training, float], _Group] = {}
        for run in runs:
            for name, value in run.stitcher.named_parameters():
                decay = 0.0 if name in run.stitcher.undecayed else run.training.weight_decay
                groups.setdefault((run.training, decay), _Group(run.training, decay)).values.append(value)
        self._groups = list(groups.values())

    def clear(self) -> None:
        """Forget all gradients."""
        for group in self._groups:
            for value in group.values:
                value.grad = None

    def state(self) -> list[list[list[Tensor | None] | None]]:
        """What the rules remember, by group and value, in the order in which the runs were given."""
        return [[group.memory.get(id(value)) for value in group.values] for group in self._groups]

    def restore(self, state: list[list[list[Tensor | None] | None]]) -> None:
        """Remember `state` of the same runs instead. Averages live where their value does, counts of steps on the CPU."""
        for group, remembered in zip(self._groups, state, strict=True):
            pairs = zip(group.values, remembered, strict=True)
            group.memory = {id(value): _placed(memory, value.device) for value, memory in pairs if memory is not None}

    @torch.no_grad()
    def step(self, epoch: int) -> None:
        """Move every value that has a gradient, at the learning rate of epoch `epoch` (from 0)."""
        for group in self._groups:
            moving = [value for value in group.values if value.grad is not None]
            if moving:
                RULES[group.training.optimizer](group, moving, group.training.lr_at(epoch))


def _placed(memory: list[Tensor | None], device: torch.device) -> list[Tensor | None]:
    averages = [each if each is None else each.to(device) for each in memory[:2]]
    return [*averages, *memory[2:]]


def _adam(group: _Group, moving: list[Tensor], lr: float) -> None:
    """Adam (Kingma & Ba 2015) with the defaults of torch: betas 0.9 and 0.999, epsilon 1e-8; decay enters the gradient."""
    for value in moving:
        if id(value) not in group.memory:
            group.memory[id(value)] = [torch.zeros_like(value), torch.zeros_like(value), torch.tensor(0.0)]
    first, second, steps = (list(column) for column in zip(*(group.memory[id(value)] for value in moving), strict=True))
    settings = {"amsgrad": False, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "maximize": False}
    adam(moving, _gradients(moving), first, second, [], steps, lr=lr, weight_decay=group.weight_decay, foreach=True, **settings)


def _sgd(group: _Group, moving: list[Tensor], lr: float) -> None:
    """Stochastic gradient descent with momentum, undamped; decay enters the gradient."""
    momenta = [group.memory.setdefault(id(value), [None])[0] for value in moving]
    settings = {"dampening": 0.0, "nesterov": False, "maximize": False, "momentum": group.training.momentum}
    sgd(moving, _gradients(moving), momenta, lr=lr, weight_decay=group.weight_decay, foreach=True, **settings)
    for value, momentum in zip(moving, momenta, strict=True):
        group.memory[id(value)][0] = momentum


def _gradients(moving: list[Tensor]) -> list[Tensor]:
    return [value.grad for value in moving if value.grad is not None]


RULES: dict[str, Callable[[_Group, list[Tensor], float], None]] = {"adam": _adam, "sgd": _sgd}
