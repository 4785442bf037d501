"""Owns what Slurm answered lately: kept on disk, so that the calls of several commands share one question.

results/cache/slurm/NAME.json   may be removed at any time; whatever is not whole is as good as not there
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

FOLDER = "slurm"


def kept(cache: Path, name: str) -> dict[str, Any]:
    """The answer of that name; empty if there is none that can be read."""
    try:
        found = json.loads((cache / FOLDER / f"{name}.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def keep(cache: Path, name: str, answer: dict[str, Any]) -> None:
    """Put it where the next command finds it; on a full disk that command asks Slurm again."""
    file = cache / FOLDER / f"{name}.json"
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(answer))
        temporary.replace(file)


def forget(cache: Path, name: str) -> None:
    """Take it away: something was done that it does not know of."""
    with suppress(OSError):
        (cache / FOLDER / f"{name}.json").unlink(missing_ok=True)
