"""Owns the losses of stitchers that are trained on attacked images: the attack goes through the whole stitched network.

They are those of `robustness.objectives`, of K stitchers side by side. The starts of the attacks on a batch are drawn from the
seed and the number of the step alone, so that every stitcher meets the same ones, packed, alone or resumed.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Generator, Tensor

from repsim.models.switches import seed_of
from repsim.robustness import losses as single
from repsim.robustness.attacks import ascended, begin
from repsim.robustness.linf import Adversary
from repsim.stitching import packing
from repsim.stitching.pair import Pair, Reading
from repsim.stitching.runs import Run
from repsim.stitching.targets import hard
from repsim.stitching.whole import Whole


def chunks(pair: Pair, runs: Sequence[Run], x: Tensor, budget: int) -> list[list[Run]]:
    """Runs that are attacked alike, between the same layers, in parts that keep at most `budget` bytes for a batch like x."""
    alike: dict[tuple, list[Run]] = {}
    for run in runs:
        alike.setdefault((run.front_layer, run.end_layer, run.objective.adversary), []).append(run)
    return [part for members in alike.values() for part in packing.split(members, budget // _bytes(pair, members[0], x))]


def losses(pair: Pair, part: Sequence[Run], reading: Reading, x: Tensor, y: Tensor) -> Tensor:
    """The mean loss (K,) of K stitchers of one of `chunks`: images x (n, c, h, w), labels y (n,), and the reading of x."""
    adversary = part[0].objective.adversary
    assert adversary is not None
    start = _start(adversary, x, part[0].steps)
    if adversary.kind == "madry":
        return _madry(Whole(pair, part), len(part), adversary, x, y, start)
    return _trades(pair, part, adversary, reading, x, y, start)


def _madry(whole: Whole, count: int, adversary: Adversary, x: Tensor, y: Tensor, start: Tensor) -> Tensor:
    """CE(h(x'), y), where x' is attacked in the first ratio · n images (Madry et al. 2018, equation 2.1)."""
    n = round(adversary.ratio * len(x))
    starts, images, labels = _each(count, start[:n], x[:n], y[:n])
    moved = ascended(whole, starts, images, labels, adversary.attack, single.task)
    mixed = torch.cat([moved.unflatten(0, (count, n)), x[n:].expand(count, *x[n:].shape)], 1)
    return hard(whole(mixed.flatten(0, 1)).unflatten(0, (count, -1)), y)


def _trades(pair: Pair, part: Sequence[Run], adversary: Adversary, reading: Reading, x: Tensor, y: Tensor, start: Tensor) -> Tensor:
    """CE(h(x), y) + β · KL(softmax h(x) ‖ softmax h(x')) (Zhang et al. 2019, equation 5); the clean pass shares f's."""
    clean, whole, count = packing.learn(pair, part, reading).logits, Whole(pair, part), len(part)
    assert clean is not None
    starts, images = _each(count, start, x)
    moved = ascended(whole, starts, images, clean.detach().flatten(0, 1), adversary.attack, single.divergence)
    apart = single.divergence(whole(moved), clean.flatten(0, 1)).unflatten(0, (count, -1))
    return hard(clean, y) + adversary.beta * apart.mean(1)


def _start(adversary: Adversary, x: Tensor, step: int) -> Tensor:
    """Madry's start in the ball; that of TRADES near the image: at the image itself its divergence has no gradient."""
    attack = replace(adversary.attack, start="gaussian") if adversary.kind == "trades" else adversary.attack
    return begin(x, attack, Generator().manual_seed(seed_of(adversary.seed, "stitch", step)))


def _each(count: int, *tensors: Tensor) -> list[Tensor]:
    """`count` copies of each, one behind the other."""
    return [tensor.repeat(count, *(1,) * (tensor.dim() - 1)) for tensor in tensors]


def _bytes(pair: Pair, run: Run, x: Tensor) -> int:
    """What autograd keeps of one stitched network on a batch like x."""
    whole = Whole(pair, [run])
    return max(1, packing.kept_of_two(lambda: whole(x[:2].clone().requires_grad_())) * len(x) // 2)
