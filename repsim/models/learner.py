"""Owns what is trained in one step: the tensors of one network, or of several stacked, and their losses.

Several networks of one architecture are trained at once as tensors (K, …), of which each network's own parameters and
buffers are views. Rules that act on each number alone (SGD, Adam, averages) then treat each network as if it were alone, in K
times fewer calls; the forward pass of all is one call (`torch.func.vmap`). What a network holds is always current.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, vmap

from repsim.errors import InputError
from repsim.models.recipes import Recipe

Objective = Callable[[nn.Module, Tensor, Tensor, torch.Generator], Tensor]
"""(network, x in [0, 1], y, generator of the run) → scalar loss, in place of the plain one."""
Batch = tuple[Tensor, Tensor]


class Learner(ABC):
    """K ≥ 1 networks and the tensors that hold them.

    Attributes:
        networks: they stay the caller's: trained in place.
        trained: name → leaf tensor with a gradient; `(K, …)` where stacked.
        kept: name → tensor without one: running statistics and frozen parameters.
    """

    networks: tuple[nn.Module, ...]
    trained: dict[str, Tensor]
    kept: dict[str, Tensor]

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All that makes up the networks, by name."""
        return {**self.trained, **self.kept}

    @abstractmethod
    def losses(self, batches: Sequence[Batch], smoothing: float) -> tuple[Tensor, Tensor]:
        """Mean loss (K,) with its graph, and the share of right answers (K,), of one batch (x, y) per network."""

    @abstractmethod
    def norms(self) -> Tensor:
        """l2 norm (K,) of each network's gradient over all its parameters."""

    @abstractmethod
    def scale(self, factors: Tensor) -> None:
        """Multiply each network's gradient by its factor (K,)."""

    def mode(self, training: bool) -> None:
        for network in self.networks:
            network.train(training)

    def __len__(self) -> int:
        return len(self.networks)


class Single(Learner):
    """One network, called as it is (`call`: under autocast and compiled where the recipe says so)."""

    call: nn.Module

    def __init__(self, network: nn.Module, recipe: Recipe):
        self.networks = (network,)
        self.trained = {name: value for name, value in network.named_parameters() if value.requires_grad}
        self.kept = {name: value for name, value in _state(network).items() if name not in self.trained}
        call = network if recipe.precision == "fp32" else Autocast(network)
        self.call = cast(nn.Module, compiled(call, recipe))

    def losses(self, batches: Sequence[Batch], smoothing: float) -> tuple[Tensor, Tensor]:
        ((x, y),) = batches
        logits = self.call(x)
        return plain_loss(logits, y, smoothing)[None], right(logits.detach(), y).float().mean()[None]

    def norms(self) -> Tensor:
        return torch.nn.utils.get_total_norm(_gradients(self.trained))[None]

    def scale(self, factors: Tensor) -> None:
        for gradient in _gradients(self.trained):
            gradient.mul_(factors[0])


class Stacked(Learner):
    """K networks of one architecture, called as one."""

    def __init__(self, networks: Sequence[nn.Module], recipe: Recipe):
        self.networks = tuple(networks)
        owners = [_state(network) for network in networks]
        stacked = {name: torch.stack([owner[name].detach() for owner in owners]) for name in owners[0]}
        for k, owner in enumerate(owners):
            for name, value in owner.items():
                value.data = stacked[name][k]
        self.trained = {name: stacked[name].requires_grad_() for name, value in owners[0].items() if value.requires_grad}
        self.kept = {name: value for name, value in stacked.items() if name not in self.trained}
        self.call = compiled(vmap(_functional(networks[0], recipe.precision), randomness="error"), recipe)

    def losses(self, batches: Sequence[Batch], smoothing: float) -> tuple[Tensor, Tensor]:
        x, y = (torch.stack(parts) for parts in zip(*batches, strict=True))
        logits = self.call(self.tensors, x)
        losses = torch.stack([plain_loss(one, labels, smoothing) for one, labels in zip(logits, y, strict=True)])
        hits = torch.stack([right(one, labels).float().mean() for one, labels in zip(logits.detach(), y, strict=True)])
        return losses, hits

    def norms(self) -> Tensor:
        parts = [gradient.flatten(1).norm(dim=1) for gradient in _gradients(self.trained)]
        return torch.stack(parts).norm(dim=0)

    def scale(self, factors: Tensor) -> None:
        for gradient in _gradients(self.trained):
            gradient.mul_(factors.view(-1, *[1] * (gradient.ndim - 1)))


class Autocast(nn.Module):
    """`network` under autocast to bfloat16; logits are float32, so that the loss is too."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16):
            return self.network(x).float()


def learner(networks: Sequence[nn.Module], recipe: Recipe) -> Learner:
    """What trains `networks`; several of one architecture are stacked."""
    if len(networks) == 1:
        if recipe.channels_last:
            networks[0].to(memory_format=torch.channels_last)
        return Single(networks[0], recipe)
    return Stacked(networks, recipe)


def stackable(network: nn.Module, x: Tensor, recipe: Recipe) -> bool:
    """Whether copies of `network` can be trained at once on images like x (n ≥ 2, c, h, w), by trying it.

    What draws random numbers in its forward pass (dropout) cannot: its draws would not be those of a training alone.
    """
    tried = Stacked([detached(network).train() for _ in range(2)], recipe)
    try:
        tried.call(tried.tensors, torch.stack([x, x])).sum().backward()
    except (RuntimeError, NotImplementedError):
        return False
    return True


@torch.no_grad()
def refuse_lone_image(network: nn.Module, x: Tensor, images: int, batch_size: int) -> None:
    """Raise InputError where an epoch ends with a batch of one image, and a norm of `network` wants more, by trying it on x[:1].

    A batch norm over maps of one pixel would take the variance of one number.
    """
    if batch_size > 1 and images % batch_size != 1:
        return
    try:
        detached(network).train()(x[:1])
    except ValueError as error:
        what = (
            f"{images} images in batches of {batch_size} leave a batch of one image, of which a batch norm makes nothing: {error}"
        )
        raise InputError(what, do="choose another batch_size, or one image less with train_images") from None


def detached(network: nn.Module) -> nn.Module:
    """A copy that shares no memory with `network`, each tensor in memory of its own and in plain order."""
    twin = copy.deepcopy(network)
    own(twin)
    return twin


def own(network: nn.Module) -> None:
    """Give each parameter and buffer memory of its own, in plain order: a view would be saved with the stack it looks at."""
    for value in _state(network).values():
        value.data = value.detach().clone(memory_format=torch.contiguous_format)


def plain_loss(logits: Tensor, y: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy of classes y (n,); of attributes y (n, a) of 0 and 1 the mean binary cross-entropy.

    `smoothing`: the share of each label that is spread evenly over all answers.
    """
    if y.ndim == 1:
        return F.cross_entropy(logits, y, label_smoothing=smoothing)
    return F.binary_cross_entropy_with_logits(logits, y.to(logits.dtype) * (1 - smoothing) + smoothing / 2)


def right(logits: Tensor, y: Tensor) -> Tensor:
    """Which answers are right, bool of the shape of y: the largest logit names the class; an attribute is there above 0."""
    return logits.argmax(1) == y if y.ndim == 1 else (logits > 0) == y.bool()


def compiled(call: Callable, recipe: Recipe) -> Callable:
    """`call`, compiled where the recipe asks for it."""
    return call if recipe.compile == "none" else torch.compile(call, mode=recipe.compile)


def _functional(network: nn.Module, precision: str) -> Callable[[dict[str, Tensor], Tensor], Tensor]:
    """`network` in train mode as a function of its tensors and x; the copy that is called holds no numbers."""
    template = copy.deepcopy(network).to("meta").train()

    def call(tensors: dict[str, Tensor], x: Tensor) -> Tensor:
        if precision == "fp32":
            return functional_call(template, tensors, (x,))
        with torch.autocast(x.device.type, torch.bfloat16):
            return functional_call(template, tensors, (x,)).float()

    return call


def _state(network: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer, by name."""
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def _gradients(trained: dict[str, Tensor]) -> list[Tensor]:
    return [value.grad for value in trained.values() if value.grad is not None]
