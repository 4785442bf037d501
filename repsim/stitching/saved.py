"""Owns the file of one trained stitcher: its map before and after training, its learning curve, and what was asked of it.

The file is data (tensors, numbers, text): `torch.load(path, weights_only=True)` reads it anywhere, without repsim.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from repsim.errors import InputError
from repsim.models import tensorfile

AGAIN = "move the part of the store with its row away: the run is then computed again and saved anew"


class Map(NamedTuple):
    """S at another moment; shapes as in `Saved`."""

    weight: Tensor
    bias: Tensor | None = None
    scales: Tensor | None = None


@dataclass(frozen=True)
class Saved:
    """S(x) = diag(scales) · weight · x + bias on rows of p values, as it was scored (rounded, if its family rounds).

    Attributes:
        weight: (q, p).
        bias: (q,), or None for none.
        scales: (q,), or None for ones.
        start: the same three before the first step, as it would have been scored then.
        unrounded: the same three after training, before rounding or cutting.
        curve: one entry per epoch: epoch, train_loss, validation_accuracy, validation_loss; None where not finite.
        config: the run's configuration.
        statistics: running mean and variance (c,) of each batch norm behind the cut, where the stitcher trained its own.
        alignment: what was trained around S: `token` (q,), a learned class token, or `weight` (), of an added one.
    """

    weight: Tensor
    bias: Tensor | None
    scales: Tensor | None
    start: Map
    unrounded: Map
    curve: list[dict[str, Any]]
    config: dict[str, Any]
    alignment: Mapping[str, Tensor] = field(default_factory=dict)
    statistics: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)


MAPS = ("start", "unrounded")
MAPPINGS = (*MAPS, "alignment", "statistics")
KEYS = {*Map._fields, *MAPPINGS, "curve", "config"}


def save(saved: Saved, path: Path) -> None:
    """Write `saved` to `path` whole or not at all. Raises InputError where the file cannot be written."""
    plain = {"curve": [_finite(entry) for entry in saved.curve], "config": saved.config}
    json.dumps(plain, allow_nan=False)  # anything else could be written, but not be read as data
    maps = {name: {part: _plain(value) for part, value in getattr(saved, name)._asdict().items()} for name in MAPS}
    end = {name: _plain(getattr(saved, name)) for name in Map._fields}
    around = {name: _plain(value) for name, value in saved.alignment.items()}
    norms = {name: [_plain(value) for value in pair] for name, pair in saved.statistics.items()}
    tensorfile.publish({**end, **maps, "alignment": around, "statistics": norms, **plain}, Path(path))


def load(path: Path) -> Saved:
    """What `save` wrote, on the CPU. Raises InputError for a file that is missing, damaged, or none of a stitcher."""
    path = Path(path)
    parts = tensorfile.read(path, do=AGAIN)
    if not isinstance(parts, Mapping) or set(parts) != KEYS or not all(isinstance(parts[name], Mapping) for name in MAPPINGS):
        raise InputError("is no stitcher of repsim", where=str(path), do="name the stitcher.pt of a run that was saved")
    tensorfile.check_sums(path, do=AGAIN)
    if not _is_map(parts) or not all(set(parts[name]) == {*Map._fields} and _is_map(parts[name]) for name in MAPS):
        raise InputError("describes no stitcher: its shapes do not fit", where=str(path), do=AGAIN)
    maps = {name: Map(**parts[name]) for name in MAPS}
    norms = {name: (pair[0], pair[1]) for name, pair in parts["statistics"].items()}
    return Saved(**{**parts, **maps, "statistics": norms})


def _plain(value: Tensor | None) -> Tensor | None:
    """A copy on the CPU of just these values: a view would bring along all that it is a view of."""
    return None if value is None else value.detach().cpu().clone(memory_format=torch.contiguous_format)


def _finite(entry: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no word for a number that is not finite."""
    return {key: None if isinstance(value, float) and not isfinite(value) else value for key, value in entry.items()}


def _is_map(parts: Mapping[str, Any]) -> bool:
    """Whether weight is (q, p), and bias and scales are (q,) or absent."""
    weight = parts["weight"]
    if not isinstance(weight, Tensor) or weight.ndim != 2:
        return False
    vectors = [parts[name] for name in ("bias", "scales") if parts[name] is not None]
    return all(isinstance(one, Tensor) and one.shape == weight.shape[:1] for one in vectors)
