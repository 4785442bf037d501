"""Owns the animation of matrices over checkpoints: a GIF, or one HTML file that plays without a network."""

import io
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from PIL import Image

from repsim.errors import UserError
from repsim.matrix import Matrix
from repsim.report import heatmaps, player
from repsim.report import matrixwords as words

Film = Mapping[str, Matrix]
"""The matrices of one measure by epoch, in order: `matrices.frames`."""
FRAME_MS, LAST_MS = 400, 2000
DPI = 100
STEPS = 64  # colours of the HTML page


def draw(films: Sequence[Film], path: Path) -> None:
    """Draw `films` to `path`, side by side, one frame per epoch; colours mean the same in all frames.

    Raises: UserError for a suffix other than .gif, .html, where nothing is computed or there is only one epoch, and for a
    folder that cannot be written.
    """
    if path.suffix.lower() not in WRITERS:
        what = f"cannot animate into a '{path.suffix}' file"
        raise UserError(what, where=str(path), do=f"use one of {', '.join(WRITERS)}")
    if not any(matrix.means for film in films for matrix in film.values()):
        raise UserError("there is nothing to draw: no comparison has finished", where=str(path), do="see: repsim sweep status")
    if all(len(film) < 2 for film in films):
        do = "compare checkpoints with the last: grid: {front_epoch: [10, 20, null]}, pairs: self"
        raise UserError("there is nothing to animate: only one epoch is compared", where=str(path), do=do)
    _publish(WRITERS[path.suffix.lower()](films), path)


def gif(films: Sequence[Film]) -> bytes:
    """One picture per epoch; it starts again after two seconds of the last."""
    epochs, ranges = _epochs(films), heatmaps.ranges_of([matrix for film in films for matrix in film.values()])
    pictures = [_picture([film[epoch] for film in films if epoch in film], ranges, epoch) for epoch in epochs]
    width, height = (max(picture.size[side] for picture in pictures) for side in (0, 1))
    sheets = [_on_white(picture, (width, height)) for picture in pictures]
    out, times = io.BytesIO(), [FRAME_MS] * (len(sheets) - 1) + [LAST_MS]
    sheets[0].save(out, "GIF", save_all=True, append_images=sheets[1:], duration=times, loop=0)
    return out.getvalue()


def page(films: Sequence[Film]) -> bytes:
    """The HTML page: numbers, colours and script in one file, nothing fetched."""
    return player.page({"epochs": _epochs(films), "frame_ms": FRAME_MS, "films": [_film(film) for film in films]}).encode()


def _epochs(films: Sequence[Film]) -> list[str]:
    return list(dict.fromkeys(epoch for film in films for epoch in film))


def _picture(matrices: Sequence[Matrix], ranges: Mapping[str, heatmaps.Range], epoch: str) -> Image.Image:
    figure = heatmaps.picture(matrices, ranges)
    figure.suptitle(f"epoch {epoch}", fontsize="medium")
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _on_white(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Frames of a GIF are equally large."""
    sheet = Image.new("RGB", size, "white")
    sheet.paste(picture)
    return sheet.quantize(256)


def _film(film: Film) -> dict[str, Any]:
    """One measure as the page reads it; values and statuses by epoch, row, column."""
    any_matrix = next(matrix for matrix in film.values())
    scaled = next((matrix for matrix in film.values() if matrix.scale), any_matrix)
    low, high = heatmaps.ranges_of(list(film.values())).get(any_matrix.measure, (0.0, 1.0))
    palette = heatmaps.palette(scaled.nearer_is_more)
    return {
        "title": any_matrix.title,
        "scale": scaled.scale,
        "front": any_matrix.front_layers,
        "end": any_matrix.end_layers,
        "range": (low, high),
        "colours": [to_hex(palette(i / (STEPS - 1))) for i in range(STEPS)],
        "frames": {epoch: _frame(matrix) for epoch, matrix in film.items()},
    }


def _frame(matrix: Matrix) -> dict[str, Any]:
    cells = [[matrix.cells.get((front, end)) for end in matrix.end_layers] for front in matrix.front_layers]
    return {
        "said": "; ".join([words.averaged(matrix), *filter(None, [words.nulls(matrix)]), *words.lacking(matrix)]),
        "values": [[cell.mean if cell and isfinite(cell.mean) else None for cell in row] for row in cells],
        "troubles": [["; ".join(cell.troubles) if cell else "" for cell in row] for row in cells],
    }


def _publish(content: bytes, path: Path) -> None:
    """Written beside under a dot-name, then renamed."""
    draft = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}", where=str(path), do="choose another folder") from None
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


WRITERS = {".gif": gif, ".html": page}
