"""Owns the optimizers of a group: one per update rule, shared by all stitchers, with their own learning rates."""

from collections.abc import Callable, Iterable

from torch import Tensor, optim

from repsim.stitching.runs import Run, Training


class Optimizers:
    """Both rules update each value on its own, so sharing one changes nothing; values without a gradient rest."""

    def __init__(self, runs: Iterable[Run]):
        groups: dict[str, dict[tuple[Training, bool], list[Tensor]]] = {}
        for run in runs:
            members = groups.setdefault(run.training.optimizer, {}).setdefault((run.training, run.stitcher.decays), [])
            members.extend(run.stitcher.parameters())
        filled = {kind: [_group(*key, members) for key, members in g.items() if members] for kind, g in groups.items()}
        self._optimizers = [OPTIMIZERS[kind](settings) for kind, settings in filled.items() if settings]

    def begin_epoch(self, epoch: int) -> None:
        """Set the learning rates of epoch `epoch` (from 0)."""
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["training"].lr_at(epoch)

    def clear(self) -> None:
        """Forget all gradients."""
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none=True)

    def step(self) -> None:
        """Move every value that has a gradient."""
        for optimizer in self._optimizers:
            optimizer.step()


def _group(training: Training, decays: bool, parameters: list[Tensor]) -> dict:
    settings = {"params": parameters, "training": training, "lr": training.lr}
    settings |= {"weight_decay": training.weight_decay if decays else 0.0}
    return settings | {"momentum": training.momentum} if training.optimizer == "sgd" else settings


OPTIMIZERS: dict[str, Callable[[list[dict]], optim.Optimizer]] = {"adam": optim.Adam, "sgd": optim.SGD}
