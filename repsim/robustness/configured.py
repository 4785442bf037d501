"""Owns how the fields of evaluations become attacks; those that are parts of one another are made once."""

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import torch

from repsim.robustness.ensemble import Ensemble
from repsim.robustness.evaluation import Attack
from repsim.robustness.fooling import Ascent
from repsim.robustness.linf import Linf


def attacks(configs: Sequence[Any], most: int | None = None) -> dict[Hashable, Attack]:
    """One attack for all configs of the same `key`, of as many steps as the longest of them asks for, but `most`."""
    made: dict[Hashable, Attack] = {}
    for config in sorted((c for c in configs if c.attack != "none"), key=lambda c: c.attack_steps):
        made[key(config)] = Ensemble(config.epsilon, config.attack_seed) if config.attack == "autoattack" else _ascent(config, most)
    return made


def key(config: Any) -> Hashable:
    """All that decides an attack but its steps: fewer steps are the beginning of more."""
    return config.attack, config.epsilon, config.step, config.attack_start, config.restarts, config.attack_seed


def _ascent(config: Any, most: int | None) -> Ascent:
    """PGD with a generator of its own, on the CPU: the same starts on every device, whoever else is in the group."""
    attack = Linf(config.epsilon, config.step, config.attack_steps, config.restarts, config.attack_start)
    if most is not None:
        attack = replace(attack, steps=min(most, attack.steps))
    return Ascent(attack, torch.Generator().manual_seed(config.attack_seed))
