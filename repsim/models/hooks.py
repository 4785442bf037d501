"""Owns cutting by hooks, for bodies that no graph stands for: control flow that depends on the data, tensors made inside.

A reader listens to the calls of the layers' modules and leaves the body behind the last one it needs. A suffix runs the
body again on the images themselves, which are what it carries, and answers the layer's call by the value it is given.
"""

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial

import torch
from torch import Tensor, nn

from repsim.errors import InputError
from repsim.models.calls import Call, black, listen, resting_generators
from repsim.models.network import Network
from repsim.models.parts import Cuts, Read, Reader, Suffix

Answer = Callable[[Tensor], Tensor | None]  # value of a call → what to put in its place, None: nothing


class _Enough(BaseException):
    """Leaves a body that has nothing more to tell; no `except Exception` of its own may hold it up."""


class HookCuts(Cuts):
    """The places where any network can be cut. Every suffix carries one tensor: the normalised images.

    A layer that nothing reads is listed too, where the graph leaves it out.
    """

    def __init__(self, network: Network):
        self._calls = {call.name: call for call in listen(network)}
        super().__init__(network, {name: call.shape for name, call in self._calls.items()})

    def carries(self, layer: str) -> int:
        self._known(layer)
        return 1

    def behind(self, layer: str) -> list[str]:
        fed = _fed_by(self._network, self._origin(layer), [self._origin(name) for name in self.names])
        return [name for name in self.names if self._origin(name).name in fed]

    def reader(
        self, values: Sequence[str] = (), carried: Sequence[str] = (), logits: bool = False, gradients: bool = False
    ) -> Reader:
        """Reads these values by hooks in one run; past a cut at a layer the images themselves are carried, to be run again."""
        origins = {layer: self._origin(layer) for layer in values}
        passing = [self._known(layer) for layer in carried]
        run = partial(_run, self._network, list(dict.fromkeys(origins.values())), whole=logits)

        def read(x: Tensor) -> Read:
            images = self._network.normalise(x)
            out, found = run(images) if origins or logits else (None, {})
            return Read({layer: found[call.name] for layer, call in origins.items()}, dict.fromkeys(passing, (images,)), out)

        return read if gradients else torch.no_grad()(read)

    def suffix(self, layer: str, also: Sequence[str] = ()) -> "HookSuffix":
        start, later = self._origin(layer), {name: self._origin(name) for name in also}
        self._must_lie_behind(layer, also)
        rest = self.names[self.names.index(start.name) + 1 :]
        return HookSuffix(self._network, start, later, [self._calls[name].module for name in rest])

    def _origin(self, layer: str) -> Call:
        """The call at which `layer`'s value comes to be: there it is read, and there it is put in."""
        return self._calls[self._calls[self._known(layer)].origin]


class HookSuffix(Suffix):
    """The whole body, (value, images) → logits, with the call of one layer answered by the value.

    Its modules are those without parts that are called behind the cut; what lies before it is run, but is not its own.
    """

    def __init__(self, network: Network, start: Call, later: Mapping[str, Call], rest: Sequence[str]):
        super().__init__()
        self.carries = 1
        self.behind = _tree(network.body, rest)
        self._start, self._later = start, later
        self._run = partial(_run, network, list(dict.fromkeys([start, *later.values()])), whole=True)

    def trace(self, value: Tensor, *carried: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        (images,) = carried
        logits, found = self._run(images, given={self._start.name: value})
        assert logits is not None
        return logits, {name: found[call.name] for name, call in self._later.items()}


def _run(
    network: Network, wanted: Sequence[Call], images: Tensor, whole: bool, given: Mapping[str, Tensor] | None = None
) -> tuple[Tensor | None, dict[str, Tensor]]:
    """Run the body on normalised images: the logits, None if it was left early, and the value of every wanted call.

    Values are copies, and the body gets copies of what is given: it may write over its own. Hooks are gone afterwards.
    """
    found: dict[str, Tensor] = {}

    def answer(call: Call, made: Tensor) -> Tensor | None:
        put_in = given.get(call.name) if given else None
        found[call.name] = made.clone() if put_in is None else put_in
        if len(found) == len(wanted) and not whole:
            raise _Enough
        return None if put_in is None else put_in.clone()

    logits = None
    answers = {(call.module, call.turn): partial(answer, call) for call in wanted}
    with _hooked(network.body, answers), suppress(_Enough):
        logits = network.body(images.clone())
    missing = next((call.name for call in wanted if call.name not in found), None)
    if missing:
        do = "choose a layer that is called whatever the images are"
        raise InputError(f"{network.facts.arch} did not call '{missing}' for these images", do=do)
    return logits, found


@contextmanager
def _hooked(body: nn.Module, answers: Mapping[tuple[str, int], Answer]) -> Iterator[None]:
    """Calls go through their answers inside the block."""
    turns: Counter[str] = Counter()

    def hear(module: str, _module: nn.Module, _inputs: object, made: Tensor) -> Tensor | None:
        answer = answers.get((module, turns[module]))
        turns[module] += 1
        return answer(made) if answer else None

    names = dict.fromkeys(module for module, _ in answers)
    handles = [body.get_submodule(name).register_forward_hook(partial(hear, name)) for name in names]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _fed_by(network: Network, start: Call, calls: Sequence[Call]) -> set[str]:
    """Which of the calls have a value that is computed from the value of `start`: those that its gradient would reach."""
    twin = copy.deepcopy(network).eval().requires_grad_(False)
    images = black(network)
    with torch.enable_grad(), resting_generators(network):
        value = _run(twin, [start], images, whole=False)[1][start.name].requires_grad_()
        found = _run(twin, list(dict.fromkeys(calls)), images, whole=True, given={start.name: value})[1]
    return {name for name, made in found.items() if made.requires_grad}


def _tree(body: nn.Module, names: Sequence[str]) -> nn.Module:
    """The named modules of the body that have no parts, under the same names."""
    root = nn.Module()
    for name in names:
        module, node = body.get_submodule(name), root
        if any(module.children()):
            continue
        *parents, last = name.split(".")
        for parent in parents:
            if parent not in node._modules:
                node.add_module(parent, nn.Module())
            node = node.get_submodule(parent)
        node.add_module(last, module)
    return root
