"""Owns the child process that takes networks out of our files: plain state dicts, for a half of repsim that never loads torch.

    python -m repsim.models.exporting '[{"file": "…/network.pt", "out": "…/mine.safetensors", "format": "safetensors"}]'

prints a JSON list of {classes, channels, size, mean, std, parameters} and exits with 0; or prints
{"error": {"what", "where", "do"}} and exits with 2.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from repsim.errors import UserError
from repsim.models import checkpoint, tensorfile


def export(file: Path, out: Path, format: str) -> dict[str, Any]:
    """Write the weights of the network in `file` to `out`, as a plain state dict with the names of its architecture.

    Returns what cannot be told from them: classes, channels and size of the input, and the mean and std that the network
    subtracts and divides by, which are no part of the weights.
    """
    network = checkpoint.load(file)
    PUBLISHERS[format](network.body.state_dict(), out)
    facts = network.facts
    return {
        **{"classes": facts.classes, "channels": facts.channels, "size": facts.size},
        **{"mean": _shortest(network.mean), "std": _shortest(network.std)},
        "parameters": sum(p.numel() for p in network.body.parameters()),
    }


def main(arguments: list[str]) -> int:
    """Export what the one argument, a JSON list, asks for; the exit code."""
    try:
        asked: list[Mapping[str, str]] = json.loads(arguments[0])
        print(json.dumps([export(Path(one["file"]), Path(one["out"]), one["format"]) for one in asked]))
    except UserError as error:
        print(json.dumps({"error": {"what": error.what, "where": error.where, "do": error.do}}))
        return 2
    return 0


def _shortest(values: Tensor) -> list[float]:
    """The shortest decimals that are these float32 numbers: 0.4914, not 0.49140000343322754."""
    return [float(str(np.float32(value))) for value in values.flatten().tolist()]


PUBLISHERS = {"pt": tensorfile.publish, "safetensors": tensorfile.publish_safetensors}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
