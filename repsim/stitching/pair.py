"""Owns the frozen pair: front network f up to its layers, end network g from its layers on, read once per batch."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from repsim.models.cut import Suffix, cuts
from repsim.models.fused import fused
from repsim.models.network import Network
from repsim.stitching.controls import StandIn

Batch = tuple[Tensor, Tensor]  # x (n, c, h, w) in [0, 1], y (n,)
Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class Needs:
    """What must be read of a batch: f's values, what passes g's cuts by, g's own values, and logits."""

    front: tuple[str, ...] = ()
    carried: tuple[str, ...] = ()
    end: tuple[str, ...] = ()
    front_logits: bool = False
    end_logits: bool = False


@dataclass(frozen=True)
class Reading:
    """One batch as the stitchers see it: each of the tensors that `Needs` names, (n, …)."""

    front: Mapping[str, Tensor]
    carried: Mapping[str, tuple[Tensor, ...]]
    end: Mapping[str, Tensor]
    front_logits: Tensor | None = None
    end_logits: Tensor | None = None

    def map(self, change: Callable[[Tensor], Tensor]) -> "Reading":
        """The same reading with every tensor changed."""
        return Reading(
            {name: change(tensor) for name, tensor in self.front.items()},
            {name: tuple(change(tensor) for tensor in parts) for name, parts in self.carried.items()},
            {name: change(tensor) for name, tensor in self.end.items()},
            None if self.front_logits is None else change(self.front_logits),
            None if self.end_logits is None else change(self.end_logits),
        )

    def displaced(self) -> "Reading":
        """f's values one image further within the batch, each beside what belongs to another image; a lone image stays."""
        return replace(self, front={name: values.roll(1, 0) for name, values in self.front.items()})

    def tensors(self) -> list[Tensor]:
        """All tensors, in the order in which `map` visits them."""
        found: list[Tensor] = []
        self.map(lambda tensor: found.append(tensor) or tensor)
        return found


class Pair:
    """f and g with the layers of one group. Both are frozen: eval mode, no gradient for any parameter.

    Maps are kept channels-last: a stitcher is then one GEMM, without copies. With `precision` bf16 both networks
    compute in it while stitchers are trained; what is matched, validated and tested is read in fp32.
    A `stand_in` gives values in the place of f's layers; `shuffled`: S learns from pairs of different images (see `controls`).
    `same_task`: f answers in the classes that the labels have, which are g's (see `elsewhere`).
    Raises InputError for a layer that a network does not have.
    """

    def __init__(
        self,
        front: Network,
        end: Network,
        front_layers: Iterable[str],
        end_layers: Iterable[str],
        precision: Precision = "fp32",
    ):
        self.stand_in: StandIn | None = None
        self.shuffled = False
        self.same_task = True
        self.front, self.end, self.precision = _frozen(front), _frozen(end), precision
        self.front_cuts, self.end_cuts = cuts(self.front), cuts(self.end)
        self.front_shapes = {layer: self.front_cuts.shape(layer) for layer in sorted(set(front_layers))}
        self.end_shapes = {layer: self.end_cuts.shape(layer) for layer in sorted(set(end_layers))}
        self._suffixes: dict[tuple[str, tuple[str, ...]], Suffix] = {}
        self._fused: dict[tuple[str, tuple[str, ...]], tuple[Suffix, torch.dtype]] = {}

    @property
    def device(self) -> torch.device:
        return self.end.mean.device

    def suffix(self, layer: str, also: Sequence[str] = ()) -> Suffix:
        """g behind `layer`; its `trace` also gives the values of the layers `also`."""
        key = (layer, tuple(also))
        if key not in self._suffixes:
            self._suffixes[key] = self.end_cuts.suffix(layer, also).eval()
        return self._suffixes[key]

    def fused_suffix(self, layer: str, also: Sequence[str] = ()) -> tuple[Suffix, torch.dtype]:
        """For training: the same function in the pair's precision, frozen batch norms folded away; and what it wants to be given.

        A suffix that cannot be fused is g's own: it is no copy, and stays in fp32.
        """
        key = (layer, tuple(also))
        if key not in self._fused:
            whole = self.suffix(layer, also)
            twin = fused(whole)
            self._fused[key] = (whole, torch.float32) if twin is whole else (twin.to(self.dtype), self.dtype)
        return self._fused[key]

    @property
    def dtype(self) -> torch.dtype:
        """Of f and g while stitchers are trained."""
        return torch.bfloat16 if self.precision == "bf16" else torch.float32

    def reader(self, needs: Needs, training: bool = False) -> Callable[[Tensor], Reading]:
        """x → reading: one truncated forward of f and one of g, neither going further than `needs` says.

        With `training` in the pair's precision, else in fp32.
        """
        others = self.stand_in.reader(needs.front) if self.stand_in else None
        read_front = self.front_cuts.reader(values=() if others else needs.front, logits=needs.front_logits)
        read_end = self.end_cuts.reader(values=needs.end, carried=needs.carried, logits=needs.end_logits)

        @torch.no_grad()
        def read(x: Tensor) -> Reading:
            x = x.contiguous(memory_format=torch.channels_last)
            with self.autocast() if training else nullcontext():
                f, g = read_front(x), read_end(x)
                values = others(x) if others else f.values
            return Reading(values, g.carried, g.values, f.logits, g.logits)

        return read

    def through(self, front_layer: str, end_layer: str) -> Callable[[Tensor], tuple[Tensor, tuple[Tensor, ...]]]:
        """x → f's value and what passes g's cut by, with gradients to x: for attacks. fp32."""
        read_front = self.front_cuts.reader(values=[front_layer], gradients=True)
        read_end = self.end_cuts.reader(carried=[end_layer], gradients=True) if self.end_cuts.carries(end_layer) else None

        def read(x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
            x = x.contiguous(memory_format=torch.channels_last)
            return read_front(x).values[front_layer], read_end(x).carried[end_layer] if read_end else ()

        return read

    def autocast(self) -> AbstractContextManager:
        """Where f and g compute while stitchers are trained on statistics of the batch."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")


def _frozen(network: Network) -> Network:
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
