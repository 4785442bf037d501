"""Owns what training code wraps around weights: containers, prefixes, normalisers, counters and second copies.

A file of others is unwrapped in layers, until nothing more comes off: DataParallel's `module.`, Lightning's `model.`,
torch.compile's `_orig_mod.`, the normaliser and the attacker of MadryLab/robustness, `Sequential(normalise, network)`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

PREFIXES = ("module.", "model.", "body.", "_orig_mod.", "net.", "network.", "backbone.", "1.")
CONTAINERS = ("state_dict", "model_state_dict", "model", "net", "network", "state")
"""Where a training checkpoint keeps its weights, the likeliest first."""
MEAN, STD = {"mean", "mu", "new_mean"}, {"std", "sigma", "new_std"}
COUNTERS = {"n_averaged", "total_ops", "total_params"}  # of torch.optim.swa_utils, and of thop
ATTACKER = "attacker."
DEEPEST = 16  # boxes in boxes


@dataclass(frozen=True)
class Unwrapped:
    """The weights under their innermost names, the prefix that all of them had, and the normaliser that stood beside them."""

    weights: dict[str, Any]
    prefix: str = ""
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


def innermost(data: Any) -> Any:
    """The state dict inside of a training checkpoint; anything else as it is.

    Boxes are opened to `DEEPEST`: a dictionary in a file may hold itself.
    """
    for _ in range(DEEPEST):
        if not isinstance(data, Mapping):
            break
        data = next((data[key] for key in CONTAINERS if isinstance(data.get(key), Mapping)), data)
    return data


def unwrap(state: Mapping[str, Any]) -> Unwrapped:
    """The weights themselves, out of a state dict."""
    weights, prefix, mean, std = dict(state), "", None, None
    while True:
        found, weights = _beside(weights)
        mean, std = mean or _numbers(found, MEAN), std or _numbers(found, STD)
        weights = _without_attacker(weights)
        outer = next((p for p in PREFIXES if weights and all(key.startswith(p) for key in weights)), "")
        if not outer:
            return Unwrapped(weights, prefix, mean, std)
        prefix += outer
        weights = {key.removeprefix(outer): value for key, value in weights.items()}


def is_plain(value: Any) -> bool:
    """A dense tensor of real numbers that are really there."""
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.device.type != "cpu":
        return False
    return not (value.is_quantized or value.is_complex())


def _beside(weights: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Numbers of normalisers and counters, and the rest; the last part of a name tells."""
    others = {key for key in weights if key.split(".")[-1] in MEAN | STD | COUNTERS}
    return {key: weights[key] for key in others}, {key: value for key, value in weights.items() if key not in others}


def _without_attacker(weights: dict[str, Any]) -> dict[str, Any]:
    """Without the second copy of the network that an attacker beside it holds, if it is one, number by number."""
    copies = {key for key in weights if key.startswith(ATTACKER)}
    same = copies and all(_same(weights[key], weights.get(key.removeprefix(ATTACKER))) for key in copies)
    return {key: value for key, value in weights.items() if key not in copies} if same else weights


def _same(one: Any, other: Any) -> bool:
    return is_plain(one) and is_plain(other) and torch.equal(one, other)


def _numbers(found: Mapping[str, Any], names: set[str]) -> tuple[float, ...] | None:
    """The numbers of the outermost normaliser."""
    mine = sorted((key for key in found if key.split(".")[-1] in names and is_plain(found[key])), key=len)
    return tuple(found[mine[0]].double().flatten().tolist()) if mine else None
