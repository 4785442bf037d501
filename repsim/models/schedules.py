"""Owns the course of the learning rate over a training, as a factor of the highest rate. Light (no torch).

Every function takes the time in epochs (2.5: in the middle of the third one) and the number of epochs.
"""

from collections.abc import Callable
from math import cos, pi

Schedule = Callable[[float, int], float]


def thirds(time: float, epochs: int) -> float:
    """Divided by 10 at one third and at two thirds of the epochs, at the start of an epoch."""
    return 0.1 ** (3 * int(time) // epochs)


def quarters(time: float, epochs: int) -> float:
    """Halved after every quarter of the epochs: 0.5^⌊epoch / max(1, ⌊epochs / 4⌋)⌋."""
    return 0.5 ** (int(time) // max(1, epochs // 4))


def late(time: float, epochs: int) -> float:
    """Divided by 10 after 4/7, 5/7 and 6/7 of the epochs: after 200, 250 and 300 of 350, at the start of an epoch."""
    return 0.1 ** sum(7 * int(time) >= k * epochs for k in (4, 5, 6))


def one_cycle(time: float, epochs: int) -> float:
    """Linearly up from 0 in the first quarter, linearly down to 0 in the rest (Smith and Topin 2017)."""
    share = time / epochs
    return min(4 * share, (1 - share) * 4 / 3)


def triangle(time: float, epochs: int, start: float = 0.2, peak: float = 0.23, end: float = 0.07) -> float:
    """Linearly from `start` up to 1 at the share `peak` of the training, then down to `end` (Jordan 2024, airbench94)."""
    share = time / epochs
    return start + (1 - start) * share / peak if share < peak else 1 - (1 - end) * (share - peak) / (1 - peak)


def cosine(time: float, epochs: int) -> float:
    """(1 + cos(π · time / epochs)) / 2 (Loshchilov and Hutter 2017), without restarts."""
    return (1 + cos(pi * time / epochs)) / 2


def constant(time: float, epochs: int) -> float:
    """1."""
    return 1.0


SCHEDULES: dict[str, Schedule] = {
    "thirds": thirds,
    "quarters": quarters,
    "late": late,
    "one_cycle": one_cycle,
    "triangle": triangle,
    "cosine": cosine,
    "constant": constant,
}
