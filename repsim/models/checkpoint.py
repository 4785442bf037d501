"""Owns network files: our own, and the plain state dicts of others.

Every file is read as data (`weights_only=True`): no code in it is ever run.
"""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from repsim.errors import InputError
from repsim.models import foreign, tensorfile, wrappers
from repsim.models.network import Facts, Network, NetworkFacts
from repsim.models.zoo import build, skeleton

NETWORK, KEPT = "network.pt", "epoch_{:04d}.pt"  # as a training leaves them
PARTS = ("facts", "state", "mean", "std", "notes")
AGAIN = "remove it and try again: a trained network is then made again, an imported one wants 'repsim zoo import'"
State = dict[str, Tensor]


@dataclass(frozen=True)
class Foreign:
    """The weights of somebody else's file, fit for one of our bodies.

    `names`: whose parameter names they had (a key of `foreign.FOREIGN`), None for ours; `prefix`: what stood before all of
    them; `mean` and `std`: the normaliser that the file holds beside them, where it holds one.
    """

    state: State
    names: str | None
    prefix: str
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None


def save(network: Network, path: Path, notes: dict[str, Any]) -> None:
    """Write `network` to `path` whole or not at all; `notes` is plain data (JSON) about its origin."""
    json.dumps(notes)  # anything else could be written, but not be read as data
    state = {key: value.detach().cpu() for key, value in network.body.state_dict().items()}
    mean, std = network.mean.flatten().tolist(), network.std.flatten().tolist()
    parts = {"facts": asdict(network.facts), "state": state, "mean": mean, "std": std, "notes": notes}
    tensorfile.publish(parts, Path(path))


def load(path: Path) -> Network:
    """The network that `save` wrote, on the CPU and in eval mode. Raises InputError if the file cannot be used."""
    path = Path(path)
    parts = tensorfile.read(path, do=AGAIN)
    if not _is_ours(parts):
        raise InputError("is no network of repsim", where=str(path), do="bring it in with 'repsim zoo import'")
    tensorfile.check_sums(path, do=AGAIN)
    try:
        network = build(Facts(**parts["facts"]), parts["mean"], parts["std"])
    except (InputError, TypeError, ValueError, RuntimeError) as error:
        reason = error.what if isinstance(error, InputError) else error
        raise InputError(f"describes no network: {reason}", where=str(path), do=AGAIN) from None
    network.body.load_state_dict(_fitted(parts["state"], network.body, str(network.facts), path))
    return network.eval()


def of_run(folder: Path, epoch: int | None = None, field: str = "epoch") -> Network:
    """The network that the run whose artefacts lie in `folder` left at its end, or after `epoch`; InputError where it kept none."""
    path = folder / (NETWORK if epoch is None else KEPT.format(epoch))
    if epoch is not None and not path.is_file():
        kept = sorted(int(file.stem.removeprefix("epoch_")) for file in folder.glob("epoch_*.pt"))
        do = f"kept: {', '.join(map(str, kept))}" if kept else "train with checkpoint_every"
        raise InputError(f"the training {folder.name} kept no network after epoch {epoch}", where=field, do=do)
    return load(path)


def read_foreign(path: Path, facts: NetworkFacts) -> Foreign:
    """The weights for the body of `facts` from a file of PyTorch's old or new format, or of safetensors.

    What is wrapped around them comes off (`wrappers`); where the names are not ours, those of others are tried (`foreign`).
    Raises InputError for damaged files, code, another architecture, missing or extra keys, and weights that are not finite.
    """
    path, body = Path(path), skeleton(facts)
    data = tensorfile.read(path)
    if zipfile.is_zipfile(path):
        tensorfile.check_sums(path, do=tensorfile.COPY_AGAIN)
    found = wrappers.unwrap(_a_state_dict(wrappers.innermost(data), path))
    names, state = foreign.renamed(found.weights, body.state_dict().keys())
    mean, std = (_numbers(data["mean"]), _numbers(data["std"])) if _is_ours(data) else (found.mean, found.std)
    return Foreign(_fitted(state, body, str(Facts.of(facts)), path), names, found.prefix, mean, std)


def _is_ours(data: Any) -> bool:
    """Whether `save` made it: then its normaliser stands beside the weights, not among them."""
    return isinstance(data, Mapping) and all(key in data for key in PARTS)


def _numbers(values: Any) -> tuple[float, ...] | None:
    plain = isinstance(values, list) and values and all(isinstance(value, int | float) for value in values)
    return tuple(values) if plain else None


def _fitted(data: Any, body: nn.Module, network: str, path: Path) -> State:
    """`data` as a state dict that fits `body`, whose architecture is described by `network`."""
    state, wanted = dict(_a_state_dict(data, path)), body.state_dict()
    for key in wanted.keys() - state.keys():
        if key.replace(foreign.COUNTER, "running_mean") in state:
            state[key] = torch.tensor(0)
    _check_keys(state, wanted, network, path)
    return {key: _checked(key, state[key], target, network, path) for key, target in wanted.items()}


def _a_state_dict(data: Any, path: Path) -> Mapping[str, Any]:
    if not isinstance(data, Mapping) or not data or not all(isinstance(key, str) for key in data):
        raise InputError("holds no state dict", where=str(path), do="save plain weights: torch.save(model.state_dict(), path)")
    return data


def _check_keys(state: State, wanted: State, network: str, path: Path) -> None:
    missing, extra = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    parts = [f"{word} {len(keys)} ({_some(keys)})" for word, keys in (("lacks", missing), ("has besides", extra)) if keys]
    if parts:
        what = f"its parameters are not those of {network}: it " + ", ".join(parts)
        raise InputError(what, where=str(path), do="name the architecture that the file was saved from")


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:4]) + (", …" if len(keys) > 4 else "")


def _checked(key: str, value: Any, target: Tensor, network: str, path: Path) -> Tensor:
    """`value` in the type of `target`; it must have its shape and be finite."""
    if not wrappers.is_plain(value) or value.shape != target.shape:
        shape = tuple(value.shape) if wrappers.is_plain(value) else f"no plain tensor ({type(value).__name__})"
        what = f"{key} is {shape}, but {tuple(target.shape)} in {network}"
        raise InputError(what, where=str(path), do="name the architecture, width, classes and channels that it was saved from")
    value = value.detach().to(target.dtype)
    if not torch.isfinite(value).all():
        do = "the training diverged or the file is damaged: use another checkpoint"
        raise InputError(f"{key} is not finite everywhere", where=str(path), do=do)
    if key.endswith("running_var") and bool((value < 0).any()):
        raise InputError(f"{key} has variances below 0", where=str(path), do="the file is damaged: use another checkpoint")
    return value
