"""Owns the learning-rate schedules of stitchers: the factor on `lr` in an epoch, from 0, of `epochs`."""

import math
from collections.abc import Callable


def constant(epoch: int, epochs: int) -> float:
    """1 (Godfrey et al. 2022; Balogh & Jelasity 2025)."""
    return 1.0


def thirds(epoch: int, epochs: int) -> float:
    """1, then 1/10 after a third, 1/100 after two thirds of the epochs (Csiszárik et al. 2021)."""
    return 0.1 ** (3 * epoch // max(epochs, 1))


def cosine(epoch: int, epochs: int) -> float:
    """(1 + cos(π · epoch / epochs)) / 2 (Loshchilov & Hutter 2017, without restarts)."""
    return (1 + math.cos(math.pi * epoch / max(epochs, 1))) / 2


SCHEDULES: dict[str, Callable[[int, int], float]] = {"constant": constant, "thirds": thirds, "cosine": cosine}
