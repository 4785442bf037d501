"""Owns what both ways of training have in common: the networks, and how they are trained."""

from collections.abc import Mapping

DATASET = "cifar10"
BATCH = 128
LR, MOMENTUM, WEIGHT_DECAY = 0.05, 0.9, 5e-4

SUBJECTS: Mapping[str, tuple[str, int | None]] = {"tiny10": ("tiny10", None), "mcnn16": ("mcnn", 16), "resnet20": ("resnet20", 1)}
"""Name → architecture and width."""
