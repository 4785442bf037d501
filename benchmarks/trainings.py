"""Owns what both ways of training have in common: the networks, and how they are trained."""

import argparse
from collections.abc import Mapping
from pathlib import Path

DATASET = "cifar10"
BATCH = 128
LR, MOMENTUM, WEIGHT_DECAY = 0.05, 0.9, 5e-4

SUBJECTS: Mapping[str, tuple[str, int | None]] = {"tiny10": ("tiny10", None), "mcnn16": ("mcnn", 16), "resnet20": ("resnet20", 1)}
"""Name → architecture and width."""


def arguments(purpose: str | None) -> argparse.ArgumentParser:
    """What both ways are told."""
    parser = argparse.ArgumentParser(description=purpose)
    parser.add_argument("--subject", choices=SUBJECTS, required=True)
    parser.add_argument("--data", type=Path, action="append", required=True, help="folder that holds the data set")
    parser.add_argument("--cache", type=Path, required=True, help="folder of the decoded data set")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--images", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    return parser
