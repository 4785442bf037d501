"""Owns projected gradient ascent on images, in pixel space: the network's own normalisation lies between x and its logits.

The network is attacked in eval mode and left in the mode it was in. Gradients are taken with respect to the images
alone: no parameter gets one, no running statistic moves.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from repsim.robustness import losses
from repsim.robustness.linf import Linf

Logits = Callable[[Tensor], Tensor]  # x (n, c, h, w) in [0, 1] → logits (n, classes)
Loss = Callable[[Tensor, Tensor], Tensor]  # logits and targets → one number per image (n,)
Box = tuple[Tensor, Tensor]
NEARBY = 1e-3  # standard deviation of the start of TRADES (Zhang et al. 2019, algorithm 1)


def pgd(
    network: nn.Module, x: Tensor, target: Tensor, attack: Linf, generator: torch.Generator, loss: Loss = losses.task
) -> Tensor:
    """x ← Π(x + step · sign ∇ₓ loss), `steps` times from a random start (Madry et al. 2018, equation 2).

    Args:
        network: x (n, c, h, w) in [0, 1] → logits; it may be in any mode, and the ambient grad mode may be off.
        target: what `loss` compares logits with: labels (n,) or (n, a), or the logits (n, classes) of the clean images.
        generator: draws the start; of any device.

    Returns: the last iterate, within epsilon of `x` (as rounded to the type of x) and in [0, 1]; of several restarts,
        per image the one with the largest loss.
    """
    with evaluating(network):
        best = ascended(network, begin(x, attack, generator), x, target, attack, loss)
        if attack.restarts > 1:
            best = _worst(network, x, target, attack, generator, loss, best)
    return best


def begin(x: Tensor, attack: Linf, generator: torch.Generator) -> Tensor:
    """Where an ascent starts: within the ball around x and in [0, 1]."""
    if attack.start == "image":
        return x.detach().clone()
    noise = torch.empty(x.shape, dtype=x.dtype, device=generator.device)
    if attack.start == "uniform":
        noise.uniform_(-attack.epsilon, attack.epsilon, generator=generator)
    else:
        noise.normal_(0, NEARBY, generator=generator)
    return clamp(x.detach() + noise.to(x.device), ball(x, attack.epsilon))


def ball(x: Tensor, epsilon: float) -> Box:
    """The lowest and the highest images within epsilon of x and in [0, 1]."""
    return (x.detach() - epsilon).clamp(min=0), (x.detach() + epsilon).clamp(max=1)


def clamp(x: Tensor, box: Box) -> Tensor:
    """The nearest image to x within `box`."""
    return torch.minimum(torch.maximum(x, box[0]), box[1])


def ascend(network: Logits, at: Tensor, target: Tensor, box: Box, step: float, loss: Loss) -> tuple[Tensor, Tensor]:
    """(next iterate, logits at the present one `at`): one step along the sign of the gradient, then back into `box`."""
    with torch.enable_grad():
        variable = at.detach().requires_grad_()
        logits = network(variable)
        (gradient,) = torch.autograd.grad(loss(logits, target).sum(), variable)
    return clamp(at.detach() + step * gradient.sign(), box), logits.detach()


def ascended(network: Logits, start: Tensor, x: Tensor, target: Tensor, attack: Linf, loss: Loss) -> Tensor:
    """The last iterate of one ascent from `start`, within epsilon of x; the network is attacked in the mode that it is in."""
    at, box = start, ball(x, attack.epsilon)
    for _ in range(attack.steps):
        at, _ = ascend(network, at, target, box, attack.step, loss)
    return at


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put every module into eval mode, and back into its own at the end.

    Weights that autocast has cast meanwhile are forgotten: torch before 2.10 lets no gradient through those that were cast
    without grad mode.
    """
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        torch.clear_autocast_cache()
        for module in training:
            module.training = True


@torch.no_grad()
def _worst(
    network: nn.Module, x: Tensor, target: Tensor, attack: Linf, generator: torch.Generator, loss: Loss, best: Tensor
) -> Tensor:
    """Per image, the end with the largest loss: of `best` and of the other restarts."""
    largest = loss(network(best), target)
    for _ in range(attack.restarts - 1):
        at = ascended(network, begin(x, attack, generator), x, target, attack, loss)
        reached = loss(network(at), target)
        better = reached > largest
        best = torch.where(better[:, None, None, None], at, best)
        largest = torch.where(better, reached, largest)
    return best
