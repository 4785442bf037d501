"""Owns the child process that lists architectures and layers for the half of repsim that never loads torch.

    python -m repsim.models
    python -m repsim.models '{"arch": "mcnn", "width": 16, "classes": 10, "channels": 3, "size": 32}'

print a JSON list, of `ArchitectureFacts` or of `LayerFacts`, and exit with 0; or print
{"error": {"what", "where", "do"}} and exit with 2.
"""

import json
import sys
from dataclasses import asdict, fields

from repsim.errors import InputError, UserError, nearest
from repsim.models.layers import describe
from repsim.models.listing import every
from repsim.models.network import Facts


def main(arguments: list[str]) -> int:
    """Print the architectures, or the layers of the network that the one argument describes; the exit code."""
    try:
        found = [asdict(layer) for layer in describe(_parse(arguments))] if arguments else [asdict(one) for one in every()]
        print(json.dumps(found))
    except UserError as error:
        print(json.dumps({"error": {"what": error.what, "where": error.where, "do": error.do}}))
        return 2
    return 0


def _parse(arguments: list[str]) -> Facts:
    """The one argument as facts; `width` and `depth` may be left out."""
    names = [field.name for field in fields(Facts)]
    usage = "give one JSON object with " + ", ".join(names)
    if len(arguments) != 1:
        raise InputError(f"takes one argument, not {len(arguments)}", do=usage)
    try:
        data = json.loads(arguments[0])
    except ValueError as error:
        raise InputError(f"the argument is not JSON: {error}", do=usage) from None
    if not isinstance(data, dict):
        raise InputError("the argument is not a JSON object", do=usage)
    for key in data.keys() - set(names):
        raise InputError(f"unknown key '{key}'", do=nearest(key, names))
    missing = set(names) - data.keys() - {"width", "depth"}
    if missing:
        raise InputError(f"lacks {', '.join(sorted(missing))}", do=usage)
    return Facts(**{"width": None, **data})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
