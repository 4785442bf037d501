"""Owns network files: our own, and the plain state dicts of others.

Every file is read as data (`weights_only=True`): no code in it is ever run. The published Tiny10 and ResNet-20
networks (Csiszárik et al. 2021) use the same parameter names as our bodies, so no name is mapped.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from repsim.errors import InputError
from repsim.models import tensorfile
from repsim.models.network import Facts, Network, NetworkFacts
from repsim.models.zoo import build, skeleton

PREFIXES = ("module.", "model.", "body.")  # DataParallel, Lightning, and our own Network
PARTS = ("facts", "state", "mean", "std", "notes")
AGAIN = "remove it and try again: a trained network is then made again, an imported one wants 'repsim zoo import'"
State = dict[str, Tensor]


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
    if not isinstance(parts, Mapping) or not all(key in parts for key in PARTS):
        raise InputError("is no network of repsim", where=str(path), do="bring it in with 'repsim zoo import'")
    tensorfile.check_sums(path, do=AGAIN)
    try:
        network = build(Facts(**parts["facts"]), parts["mean"], parts["std"])
    except (InputError, TypeError, ValueError, RuntimeError) as error:
        reason = error.what if isinstance(error, InputError) else error
        raise InputError(f"describes no network: {reason}", where=str(path), do=AGAIN) from None
    network.body.load_state_dict(_fitted(parts["state"], network.body, str(network.facts), path))
    return network.eval()


def read_foreign(path: Path, facts: NetworkFacts) -> State:
    """State dict for the body of `facts` from a file of PyTorch's old or new format.

    The file holds a state dict, or a dict with one under "state_dict" or "state"; a prefix common to all keys
    ("module.", "model.", "body.") is dropped. Raises InputError for damaged files, code, another architecture, missing
    or extra keys, and weights that are not finite.
    """
    path = Path(path)
    data = tensorfile.read(path)
    if isinstance(data, Mapping):
        data = next((data[key] for key in ("state_dict", "state") if isinstance(data.get(key), Mapping)), data)
    return _fitted(data, skeleton(facts), str(Facts.of(facts)), path)


def _fitted(data: Any, body: nn.Module, network: str, path: Path) -> State:
    """`data` as a state dict that fits `body`, whose architecture is described by `network`."""
    if not isinstance(data, Mapping) or not data or not all(isinstance(key, str) for key in data):
        raise InputError("holds no state dict", where=str(path), do="save plain weights: torch.save(model.state_dict(), path)")
    state, wanted = _without_prefix(data), body.state_dict()
    for key in wanted.keys() - state.keys():
        if key.replace("num_batches_tracked", "running_mean") in state:  # PyTorch before 0.4.1 did not count batches
            state[key] = torch.tensor(0)
    _check_keys(state, wanted, network, path)
    return {key: _checked(key, state[key], target, network, path) for key, target in wanted.items()}


def _without_prefix(state: Mapping[str, Any]) -> dict[str, Any]:
    while prefix := next((p for p in PREFIXES if all(key.startswith(p) for key in state)), None):
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return dict(state)


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
    if not _is_plain(value) or value.shape != target.shape:
        shape = tuple(value.shape) if _is_plain(value) else f"no plain tensor ({type(value).__name__})"
        what = f"{key} is {shape}, but {tuple(target.shape)} in {network}"
        raise InputError(what, where=str(path), do="name the architecture, width, classes and channels that it was saved from")
    value = value.detach().to(target.dtype)
    if not torch.isfinite(value).all():
        do = "the training diverged or the file is damaged: use another checkpoint"
        raise InputError(f"{key} is not finite everywhere", where=str(path), do=do)
    return value


def _is_plain(value: Any) -> bool:
    """A dense tensor of real numbers that are really there."""
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.device.type != "cpu":
        return False
    return not (value.is_quantized or value.is_complex())
