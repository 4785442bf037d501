"""Owns files of tensors and plain data: written whole or not at all, and read as data, so that no code in one is ever run."""

import os
import pickle
import re
import tarfile
import uuid
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import safetensors.torch
import torch
from torch import Tensor

from repsim.errors import PASSING, DiskError, InputError

PLAIN = "save plain weights: torch.save(model.state_dict(), path)"
COPY_AGAIN = "copy or write it again, and compare its size with the original"


def publish(parts: Mapping[str, Any], path: Path) -> None:
    """Write beside `path` under a dot-name, flush to the disk, then rename. Raises DiskError or InputError where it cannot."""
    _whole(path, lambda file: torch.save(parts, file))


def publish_safetensors(state: Mapping[str, Tensor], path: Path) -> None:
    """The same for named tensors in the safetensors format."""
    content = safetensors.torch.save({name: value.contiguous() for name, value in state.items()})
    _whole(path, lambda file: file.write(content))


def remove(path: Path) -> None:
    """Remove `path`, and what writers that were killed left half written in its folder."""
    for file in (path, *path.parent.glob(".*.pt." + 32 * "[0-9a-f]")):
        file.unlink(missing_ok=True)


def _whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        cause = error if isinstance(error, OSError) else error.__context__  # torch buries a full disk in an error of its own
        if not isinstance(cause, OSError):
            raise
        do = "check the folder, its rights and the disk"
        if cause.errno in PASSING:
            raise DiskError(f"cannot be written: {cause.strerror}", where=str(path), do=do) from None
        raise InputError(f"cannot be written: {cause.strerror}", where=str(path), do=do) from None
    finally:
        temporary.unlink(missing_ok=True)


def read(path: Path, do: str | None = None) -> Any:
    """What the file holds, on the CPU: safetensors, or PyTorch's old or new format. Its content tells, not its name.

    Raises InputError that advises `do`, else what suits the damage: a file of ours wants `do`, what makes it again; one
    that somebody hands over wants the reason.
    """
    try:
        if _is_safetensors(path):
            return safetensors.torch.load_file(path, device="cpu")
        with warnings.catch_warnings(action="ignore"):  # of what is strange in a file; what cannot be used is refused below
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        what, advice = "there is no such file", "check the path, or train or import the network first"
    except (IsADirectoryError, PermissionError) as error:
        what, advice = f"cannot be read: {error.strerror}", "check that it is a file, and its rights"
    except safetensors.SafetensorError as error:
        what, advice = f"is a damaged safetensors file ({error})", COPY_AGAIN
    except pickle.UnpicklingError as error:
        what, advice = _objects_in(str(error)), PLAIN
    except Exception as error:  # damaged bytes raise whatever the parser met first: KeyError, OSError, MemoryError …
        what, advice = _unreadable(path, error)
    raise InputError(what, where=str(path), do=do or advice)


def _is_safetensors(path: Path) -> bool:
    """Eight bytes, the length of the header; then the header, a JSON object that fits into the file."""
    with Path(path).open("rb") as file:
        start = file.read(9)
    length = int.from_bytes(start[:8], "little")
    return start[8:] == b"{" and length <= Path(path).stat().st_size


def _unreadable(path: Path, error: Exception) -> tuple[str, str]:
    """What is wrong with a file that no reader takes, and what to do about it."""
    if tarfile.is_tarfile(path):
        return "is a file of PyTorch before 0.2 (a tar archive), which cannot be read as data", f"load it there, then {PLAIN}"
    if zipfile.is_zipfile(path) and "TorchScript" in str(error):
        return "is a program (TorchScript), not only weights; nothing in it was run", PLAIN
    return f"is damaged, cut short, or neither a PyTorch nor a safetensors file ({type(error).__name__})", COPY_AGAIN


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
