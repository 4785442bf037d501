"""Owns the child process that reads saved stitchers for the half of repsim that never loads torch.

    python -m repsim.stitching FILE
    python -m repsim.stitching --curves FILE…
    python -m repsim.stitching --maps FILE…

prints {"shape", "curve", "config"} as JSON, or of several files a list of them, with --maps of such that have "maps" too, and exits
with 0; or {"error": {"what", "where", "do"}}, and exits with 2. `shape` is that of W: outputs, inputs. `maps` holds
diag(scales) · W before training ("start") and as it was scored ("end"): base64 of float32, little-endian, row by row.
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any

from repsim.errors import UserError
from repsim.stitching import saved
from repsim.stitching.saved import Map, Saved

CURVES, MAPS = "--curves", "--maps"


def main(*words: str) -> int:
    """Print what the files hold; the exit code."""
    try:
        several = words[0] in (CURVES, MAPS)
        told = [_told(saved.load(Path(word)), words[0] == MAPS) for word in words[several:]]
        print(json.dumps(told if several else told[0]))
    except UserError as error:
        print(json.dumps({"error": {"what": error.what, "where": error.where, "do": error.do}}))
        return 2
    return 0


def _told(found: Saved, maps: bool) -> dict[str, Any]:
    told = {"shape": list(found.weight.shape), "curve": found.curve, "config": found.config}
    if maps:
        told["maps"] = {"start": _text(found.start), "end": _text(Map(found.weight, found.bias, found.scales))}
    return told


def _text(map: Map) -> str:
    weight = map.weight if map.scales is None else map.scales[:, None] * map.weight
    return base64.b64encode(weight.float().numpy().astype("<f4").tobytes()).decode()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
