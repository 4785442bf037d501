"""Owns the child process that reads a saved stitcher for the half of repsim that never loads torch.

    python -m repsim.stitching FILE

prints {"shape", "curve", "config"} as JSON and exits with 0; or {"error": {"what", "where", "do"}}, and exits with 2.
`shape` is that of W: outputs, inputs.
"""

import json
import sys
from pathlib import Path

from repsim.errors import UserError
from repsim.stitching import saved


def main(file: str) -> int:
    """Print what `file` holds beside its weights; the exit code."""
    try:
        found = saved.load(Path(file))
        print(json.dumps({"shape": list(found.weight.shape), "curve": found.curve, "config": found.config}))
    except UserError as error:
        print(json.dumps({"error": {"what": error.what, "where": error.where, "do": error.do}}))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
