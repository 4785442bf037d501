"""Owns the decoded copy of a data set on disk: two arrays that are read in a blink, or not trusted at all.

STEM.npz holds the arrays, STEM.json the SHA-256 of that file; STEM names the source (see `fingerprint`). The digest is
compared before the arrays are parsed, so a damaged or half-written copy counts as none. Writers of the same STEM write the same
arrays, each file under a dot-name first: two at once are harmless.
"""

import hashlib
import io
import json
import os
import uuid
from importlib.metadata import version
from pathlib import Path

import numpy as np

from repsim.data.sources import Found, Split
from repsim.errors import InputError

FORMAT = 1  # raise it when a decoder gives other arrays for the same files


def fingerprint(found: Found, split: Split) -> str:
    """12 hex digits of what the decoded arrays depend on: name, size and time of each file, or the library's version."""
    files = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in found.paths.get(split, ())]
    library = version("scikit-learn") if found.kind == "bundled" else ""
    return hashlib.sha256(json.dumps([FORMAT, found.kind, library, files]).encode()).hexdigest()[:12]


def read(stem: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Images (n, c, h, w) uint8 and labels (n,) int64, or None where there is no sound copy."""
    try:
        expected = json.loads(_beside(stem, ".json").read_bytes())["sha256"]
        data = _beside(stem, ".npz").read_bytes()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if hashlib.sha256(data).hexdigest() != expected:
        return None
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return arrays["images"], arrays["labels"]


def write(stem: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Store both arrays; the JSON comes last, and without it the copy does not count. InputError: the disk says no."""
    buffer = io.BytesIO()
    np.savez(buffer, images=images, labels=labels)
    data = buffer.getvalue()
    facts = {"sha256": hashlib.sha256(data).hexdigest(), "images": list(images.shape)}
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        _publish(_beside(stem, ".npz"), data)
        _publish(_beside(stem, ".json"), json.dumps(facts).encode())
    except OSError as error:
        do = "make the folder writable, or free some space"
        raise InputError(f"the decoded data set cannot be stored: {error.strerror}", where=str(stem.parent), do=do) from None


def _beside(stem: Path, suffix: str) -> Path:
    return stem.with_name(stem.name + suffix)


def _publish(path: Path, data: bytes) -> None:
    """Write to a dot-name, fsync, replace: a reader sees the old file or the whole new one."""
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with scratch.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
