"""Owns reading what the layers of any network give, without changing the network or what it draws at random.

    with Capture(network, ["layer1.0.relu", "layer1.0.relu#1", "encoder[0]"]) as read:
        values = read(images)

Values are copies, since an operation further on may write over what a layer gave. For repsim's own networks see
`models.cut`, whose readers promise the same under the same names and stop at the last layer that is asked for.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from repsim.errors import InputError, nearest
from repsim.similarity.known import LOGITS

NAME = re.compile(r"(?P<module>[^\[\]#]+)(?:#(?P<turn>\d+))?(?P<parts>(?:\[[^\[\]]+\])*)")
SHOWN = 8  # names that an error lists


class Capture:
    """Reads the values of `layers` while it is open: in eval mode, without gradients, each forward on its own.

    A layer is a module's name as in `named_modules`, `name#k` its k-th further call within a forward; `name[0]`, `name[key]`
    are parts of what it gives where that is a tuple, a list, a dictionary or a dataclass (parts of parts: `name[0][key]`);
    `logits` is what the network itself gives, if it has no module of that name. On leaving, however that comes
    about, the hooks are gone, every module is in the mode it was in, and the random generators are where they were.

    Raises InputError for names of no module.
    """

    def __init__(self, module: nn.Module, layers: Iterable[str]):
        self._module = module
        self._wanted = [_place(layer, module) for layer in dict.fromkeys(layers)]
        self._found: dict[str, Tensor] = {}
        self._turns: Counter[str] = Counter()

    def __enter__(self) -> "Capture":
        with ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng(devices=_cuda_devices(self._module)))
            stack.enter_context(torch.no_grad())
            _rest(self._module, stack)
            for name in sorted({place.module for place in self._wanted}):
                hook = partial(self._hear, [place for place in self._wanted if place.module == name])
                stack.callback(self._module.get_submodule(name).register_forward_hook(hook).remove)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._found = {}
        self._open.close()

    def __call__(self, *inputs: Any, **named: Any) -> dict[str, Tensor]:
        """One forward: the value of every layer, by its name.

        Raises InputError where a layer was not called (so often), or gave no tensor.
        """
        self._turns.clear()
        self._found = {}
        self._module(*inputs, **named)
        found, self._found = self._found, {}
        for place in self._wanted:
            if place.layer not in found:
                raise _not_called(place, self._turns[place.module])
        return found

    def _hear(self, places: Sequence["_Place"], _module: nn.Module, _inputs: object, made: Any) -> None:
        turn = self._turns[places[0].module]
        self._turns[places[0].module] += 1
        for place in places:
            if place.turn == turn:
                self._found[place.layer] = _part(made, place).detach().clone()


class _Place(NamedTuple):
    """Where a value comes to be: which call of which module ("": the whole), and which part of what it gives."""

    layer: str
    module: str
    turn: int
    parts: tuple[str, ...]


def _place(layer: str, module: nn.Module) -> _Place:
    match, names = NAME.fullmatch(layer), [name for name, _ in module.named_modules() if name]
    name = match["module"] if match else layer
    if match is None or (name not in names and name != LOGITS):
        raise InputError(f"there is no layer '{layer}'", do=_first_name(module, name) or nearest(name, [*names, LOGITS]))
    parts = tuple(re.findall(r"\[([^\[\]]+)\]", match["parts"]))
    return _Place(layer, name if name in names else "", int(match["turn"] or 0), parts)


def _first_name(module: nn.Module, name: str) -> str | None:
    """What to say of a second name of a module, which `named_modules` leaves out."""
    meant = dict(module.named_modules(remove_duplicate=False)).get(name)
    first = next((other for other, part in module.named_modules() if part is meant), None)
    return f"it is the same module as '{first}': choose '{first}', or '{first}#1' for its further call" if first else None


def _not_called(place: _Place, times: int) -> InputError:
    if not times:
        return InputError(f"'{place.layer}' was not called", do="choose a layer that is called whatever the images are")
    what = f"'{place.layer}' was not called: this forward called its module {times} time{'' if times == 1 else 's'}"
    return InputError(what, do=f"choose '{place.module}'" + (f" up to '{place.module}#{times - 1}'" if times > 1 else ""))


def _part(made: Any, place: _Place) -> Tensor:
    """The tensor that `place` names of what its module gave."""
    said = place.layer.split("[")[0]
    for key in place.parts:
        inside = _inside(made)
        if key not in inside:
            raise InputError(f"'{said}' has no part [{key}]", do=_choices(said, inside))
        made, said = inside[key], f"{said}[{key}]"
    if not isinstance(made, Tensor):
        raise InputError(f"'{said}' gives no tensor but {type(made).__name__}", do=_choices(said, _inside(made)))
    return made


def _rest(module: nn.Module, stack: ExitStack) -> None:
    """Eval mode inside; each module's own mode afterwards."""
    modes = [(part, part.training) for part in module.modules()]
    stack.callback(lambda: [setattr(part, "training", training) for part, training in modes])
    module.eval()


def _cuda_devices(module: nn.Module) -> list[torch.device]:
    tensors = [*module.parameters(), *module.buffers()]
    return list({tensor.device for tensor in tensors if tensor.device.type == "cuda"})


def _inside(made: Any) -> dict[str, Any]:
    """What is inside a tuple, list, mapping or dataclass, by position, key or field."""
    if isinstance(made, Mapping):
        return {str(key): part for key, part in made.items()}
    if isinstance(made, tuple | list):
        return {str(index): part for index, part in enumerate(made)}
    if is_dataclass(made) and not isinstance(made, type):
        return {field.name: getattr(made, field.name) for field in fields(made)}
    return {}


def _choices(name: str, inside: Mapping[str, Any]) -> str:
    if not inside:
        return "choose another layer"
    return "choose " + ", ".join(f"'{name}[{key}]'" for key in list(inside)[:SHOWN])
