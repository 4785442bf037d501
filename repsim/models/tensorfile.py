"""Owns files of tensors and plain data: written whole or not at all, and read as data, so that no code in one is ever run."""

import os
import pickle
import re
import uuid
import zipfile
from pathlib import Path
from typing import Any

import torch

from repsim.errors import InputError


def publish(parts: dict[str, Any], path: Path) -> None:
    """Write beside `path` under a dot-name, flush to the disk, then rename. Raises InputError where that cannot be done."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            torch.save(parts, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        do = "check the folder, its rights and the disk"
        raise InputError(f"cannot be written: {error.strerror}", where=str(path), do=do) from None
    finally:
        temporary.unlink(missing_ok=True)


def read(path: Path, do: str | None = None) -> Any:
    """What the file holds, on the CPU. Raises InputError that advises `do`, else what suits the damage.

    A file of ours wants `do`, what makes it again; one that somebody hands over wants the reason.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        what, advice = "there is no such file", "check the path, or train or import the network first"
    except (IsADirectoryError, PermissionError) as error:
        what, advice = f"cannot be read: {error.strerror}", "check that it is a file, and its rights"
    except pickle.UnpicklingError as error:
        what, advice = _objects_in(str(error)), "save plain weights: torch.save(model.state_dict(), path)"
    except Exception as error:  # damaged bytes raise whatever the parser met first: KeyError, OSError, MemoryError …
        what = f"is damaged, cut short, or no PyTorch file ({type(error).__name__})"
        advice = "copy or write it again, and compare its size with the original"
    raise InputError(what, where=str(path), do=do or advice)


def check_sums(path: Path, do: str) -> None:
    """Raise InputError for damage: PyTorch writes a CRC with every tensor, but does not compare it when it reads."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except Exception as error:  # as in `read`
        damaged = type(error).__name__
    if damaged:
        raise InputError(f"is damaged ({damaged})", where=str(path), do=do)


def _objects_in(message: str) -> str:
    found = re.search(r"GLOBAL ([\w.]+)", message)
    if found is None:
        return "is damaged, or holds more than weights; nothing in it was run"
    return f"holds an object of {found[1]}, not only weights; nothing in it was run"
