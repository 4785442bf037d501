"""Owns how a figure becomes a file or a text: whole or not at all, and the same bytes for the same numbers."""

import io
import os
from contextlib import suppress
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from repsim.errors import UserError

SUFFIXES = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
SALT = "repsim"  # names inside an SVG would be random without


def check_suffix(path: Path) -> None:
    """Raise UserError for a file that cannot be drawn."""
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"cannot draw a '{path.suffix}' file", where=str(path), do=f"use one of {', '.join(SUFFIXES)}")


def save(figure: Figure, path: Path) -> None:
    """Written beside under a dot-name, then renamed: a reader never sees half a picture. Raises UserError where it cannot be."""
    check_suffix(path)
    draft = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    kind = path.suffix.lower()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with rc_context({"svg.hashsalt": SALT}):
            figure.savefig(draft, format=kind[1:], dpi=150, metadata=SUFFIXES[kind], bbox_inches="tight", pad_inches=0.1)
        draft.replace(path)
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}", where=str(path), do="choose another folder") from None
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def svg(figure: Figure) -> str:
    """The figure as one `<svg>` element, to stand in a page of HTML."""
    text = io.StringIO()
    with rc_context({"svg.hashsalt": SALT}):
        figure.savefig(text, format="svg", metadata=SUFFIXES[".svg"], bbox_inches="tight", pad_inches=0.1)
    return text.getvalue()[text.getvalue().index("<svg") :]
