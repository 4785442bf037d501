"""Owns how one stitch is shown to people: what was stitched, each number beside what it means, its learning curve."""

from collections.abc import Mapping, Sequence
from io import StringIO
from textwrap import shorten
from typing import Any

from repsim.job import Job, JobRow

WIDTH = 120
IMPORTANT = (
    *("accuracy", "accuracy_last", "front_accuracy", "end_accuracy", "penalty", "relative_accuracy"),
    *("matched_accuracy", "null_accuracy", "rounding_loss", "residual", "matched_residual", "agreement", "front_agreement"),
    *("cut_cka_before", "cut_cka_after", "logits_cka_before", "logits_cka_after", "matrix_rank", "sparsity"),
    *("selected_epoch", "epochs_run", "train_images", "test_images", "seconds"),
)
"""Columns worth a look, in this order; the others are in the JSON."""


def text(job: Job, row: Mapping[str, Any], how: str) -> str:
    """The important numbers of `row` that are there, with their descriptions; `how` it was come by."""
    fields = job.row.model_fields
    measured = [name for name in fields if name not in JobRow.model_fields and row[name] is not None]
    lines = [(name, _number(row[name]), fields[name].description or "") for name in IMPORTANT if name in measured]
    return f"{_headline(row, how)}\n{_table(lines)}\n\nall {len(measured)} columns and where they come from: --json"


def curve_text(saved: Mapping[str, Any]) -> str:
    """The learning curve of a saved stitcher, one line per epoch, and where its weights are."""
    outputs, inputs = saved["shape"]
    curve, end = saved["curve"], f"W is {outputs} × {inputs}: repsim.stitching.saved.load({saved['file']!r})"
    if not curve:
        return f"{_stitched(saved['config'])}: nothing was trained\n{end}"
    return "\n".join([_stitched(saved["config"]), *curve_lines(curve), end])


def training_text(trained: Mapping[str, Any]) -> str:
    """The learning curve of a training, as `sweep.curves` tells of it, and how it came out."""
    diverged = "; DIVERGED" if trained["outcome"] == "diverged" else ""
    end = f"accuracy {trained['accuracy']:.4f} on {trained['test_images']:,} test images{diverged}"
    return "\n".join([f"run {trained['run_id']}: {trained['label']}", *curve_lines(trained["curve"]), end])


def curve_lines(curve: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line of names, then one per epoch; what was not measured is a dash."""
    names = list(dict.fromkeys(name for entry in curve for name in entry))
    cells = [names, *([_number(entry[name]) if entry.get(name) is not None else "–" for name in names] for entry in curve)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]


def _headline(row: Mapping[str, Any], how: str) -> str:
    """What was stitched, and how the row was come by."""
    diverged = "; DIVERGED" if row["outcome"] == "diverged" else ""
    return f"{_stitched(row)}{diverged}\nrun {row['run_id']}, {how}, on {row['host']}"


def _stitched(fields: Mapping[str, Any]) -> str:
    """tiny10:4 bn3 → tiny10:5 bn3 on cifar10: linear matched."""
    ends = " → ".join(f"{fields[f'{side}_arch']}:{fields[f'{side}_seed']} {fields[f'{side}_layer']}" for side in ("front", "end"))
    return f"{ends} on {fields['dataset']}: {fields['stitcher']} {fields['init']}"


def _table(lines: list[tuple[str, str, str]]) -> str:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table("measured", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("what it is")
    for line in lines:
        table.add_row(*line)
    out = StringIO()
    Console(file=out, width=WIDTH, color_system=None).print(table, markup=False)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()).strip("\n")


def _number(value: Any) -> str:
    """Four significant digits; whole numbers whole."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else shorten(str(value), 40)
