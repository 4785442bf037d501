"""Owns listening to a body: which module calls make a value, in which order, and which tensor each of them gives.

What `tracing` learns from a graph, learnt from one forward.
"""

import copy
from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from repsim.models.network import Network

PROBE = 2  # images


@dataclass(frozen=True)
class Call:
    """One module call that made a value.

    Attributes:
        name: of the layer.
        module: its name.
        turn: which call of the module it is, from 0.
        shape: of the value, without the batch.
        origin: the layer whose call made this very tensor: `name`, or one inside it.
    """

    name: str
    module: str
    turn: int
    shape: tuple[int, ...]
    origin: str


def listen(network: Network) -> list[Call]:
    """The calls of one forward of two black images through a copy, so that network and generators rest."""
    body, listener = copy.deepcopy(network.body).eval(), _Listener()
    for name, module in body.named_modules():
        if name:
            module.register_forward_pre_hook(listener.enter, with_kwargs=True)
            module.register_forward_hook(partial(listener.leave, name))
    with torch.no_grad(), resting_generators(network):
        body(black(network))
    return listener.calls


def black(network: Network) -> Tensor:
    """Two images as the body takes them, all zero."""
    facts = network.facts
    return network.mean.new_zeros(PROBE, facts.channels, facts.size, facts.size)


def resting_generators(network: Network) -> AbstractContextManager[None]:
    """Whatever is drawn inside, on the CPU or on the network's device, was never drawn."""
    device = network.mean.device
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


class _Listener:
    """Hears every call of one forward: which tensor it gave, and whether that was there before."""

    def __init__(self):
        self.calls: list[Call] = []
        self._turns: Counter[str] = Counter()
        self._entries: list[tuple[int, list[tuple[int, int]]]] = []  # of the calls that are under way: calls done before, inputs
        self._kept: list[Tensor] = []  # so that no address is used twice
        self._made: dict[tuple[int, int], int] = {}  # a tensor and its version → the call that gave it first

    def enter(self, _module: nn.Module, args: tuple, kwargs: dict) -> None:
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        self._kept += tensors
        self._entries.append((len(self.calls), [_identity(tensor) for tensor in tensors]))

    def leave(self, module: str, _module: nn.Module, _args: object, made: object) -> None:
        """Note the call where it gave a new value per image, with the call that gave it first; others made none of their own."""
        turn, (earlier, inputs) = self._turns[module], self._entries.pop()
        self._turns[module] += 1
        if not isinstance(made, Tensor) or made.shape[:1] != (PROBE,) or _identity(made) in inputs:
            return
        first = self._made.setdefault(_identity(made), len(self.calls))
        if first < earlier:
            return
        name = f"{module}#{turn}" if turn else module
        origin = name if first == len(self.calls) else self.calls[first].name
        self._kept.append(made)
        self.calls.append(Call(name, module, turn, tuple(made.shape[1:]), origin))


def _identity(tensor: Tensor) -> tuple[int, int]:
    """Which tensor, and which of the contents that it had."""
    return id(tensor), tensor._version
