"""Owns the comparison of long vectors by the order of their entries: average ranks, and Kendall's tau-b."""

import torch
from scipy.stats import kendalltau
from torch import Tensor

from repsim.errors import InputError

KENDALL_PAIRS = 5_000_000  # entries up to which tau-b takes seconds for a pair of layers (3,162 images)


def doubled_ranks(values: Tensor) -> Tensor:
    """Twice the rank of each entry, from 2 for the least; equal entries share their average rank.

    Doubled, an average rank is a whole number: int32 holds it exactly for up to 10⁹ entries, which float32 does not from 2²³ on.

    Args:
        values: (m,), without NaN.

    Returns:
        (m,) int32 on the device of `values`.
    """
    ordered, order = values.sort()
    starts = torch.ones(len(values), dtype=torch.bool, device=values.device)
    torch.ne(ordered[1:], ordered[:-1], out=starts[1:])
    del ordered
    twice = starts.nonzero().squeeze(1).int()  # of each run of equal entries its first place, then first + last + 2
    twice = twice + torch.cat([twice[1:], twice.new_tensor([len(values)])]) + 1
    run = starts.cumsum(0, dtype=torch.int32).sub_(1)
    return torch.empty_like(run).scatter_(0, order, twice.index_select(0, run))


def snapped(values: Tensor, scale: Tensor) -> Tensor:
    """Each value as the nearest multiple of a power of 2 of about 8 roundings of `scale`: what only rounding parts becomes equal.

    Distances of the same images differ in their last digits with the block that they are computed in; without this, ties would
    be broken by that. Tied values that are whole numbers stay tied for certain, others but for one in eight or so.
    """
    rounding = 8 * torch.finfo(values.dtype).eps * scale.clamp(min=torch.finfo(torch.float32).tiny)
    step = rounding.log2().ceil().exp2().to(values.dtype)
    return (values / step).round_().mul_(step)


def need_kendall(pairs: int) -> None:
    """Raise InputError where tau-b of so many pairs of images would take minutes for every pair of layers."""
    if pairs > KENDALL_PAIRS:
        what = f"kendall compares {pairs:,} pairs of images; it is offered up to {KENDALL_PAIRS:,}"
        raise InputError(what, where="comparison", do="take spearman, which is exact for any number, or fewer images")


def kendall(x: Tensor, y: Tensor) -> float:
    """Tau-b = (concordant − discordant) / √((all − tied in x)(all − tied in y)) of two vectors that are not constant.

    In O(m log m) on the CPU. Kendall (1945), The treatment of ties in ranking problems.
    """
    found = kendalltau(x.cpu().numpy(), y.cpu().numpy(), variant="b")
    return float(found.statistic)  # pyright: ignore[reportAttributeAccessIssue] (it guesses another type of result)
