"""Owns the formats of a judgement: plain text, Markdown, CSV, JSON."""

import csv
import io
import json
from collections.abc import Callable
from math import inf, isfinite
from typing import Any

from repsim.judging.score import Score
from repsim.judging.statistics import DRAWS
from repsim.judging.suite import COLUMNS, Column, Judgement, places
from repsim.report.markdown import ESCAPED

SURE = 0.05
FIELDS = ("measure", "test", "score", "value", "half", "p", "n", "networks", "chance", "source")
ABOUT = (
    "Score ± half-width of its 95 % interval (jackknife over networks; none where they are too few); 1 is perfect in each column. "
    f"* p < 0.05, one-sided, networks permuted ({DRAWS} orders); columns without any are not so tested. "
    "place: mean rank over the columns scored, 1 is best."
)


def render(judgement: Judgement, format: str) -> str:
    """`judgement` in one of the formats; ends with a newline."""
    return RENDERERS[format](judgement)


def records(judgement: Judgement) -> list[dict[str, Any]]:
    """One flat dictionary per score that there is, unrounded."""
    return [_record(name, test, score) for (name, test), score in judgement.items() if isfinite(score.value)]


def _record(name: str, test: Column, score: Score) -> dict[str, Any]:
    numbers = {key: value if isfinite(value := getattr(score, key)) else None for key in ("value", "half", "p")}
    of = {"measure": name, "test": test.kind, "score": test.score}
    return {**of, **numbers, "n": score.n, "networks": score.networks, "chance": test.chance, "source": test.source}


def grid_of(judgement: Judgement) -> tuple[list[Column], list[str]]:
    """The columns in which anything is scored, and what is judged, the best mean place first."""
    shown = [column for column in COLUMNS if any(one is column and isfinite(score.value) for (_, one), score in judgement.items())]
    place = places(judgement)
    return shown, sorted(dict.fromkeys(name for name, _ in judgement), key=lambda name: place.get(name, inf))


def _grid(judgement: Judgement) -> tuple[list[str], list[list[str]]]:
    """Head and lines."""
    (shown, names), place = grid_of(judgement), places(judgement)
    lines = [
        [name, f"{place[name]:.1f}" if name in place else "–", *(_cell(judgement[name, column]) for column in shown)]
        for name in names
    ]
    return ["measure", "place", *(column.head for column in shown)], lines


def _cell(score: Score) -> str:
    if not isfinite(score.value):
        return "–"
    half = f" ± {score.half:.2f}" if isfinite(score.half) else ""
    return f"{score.value:.2f}{half}{'*' if score.p < SURE else ''}"


def _notes(judgement: Judgement) -> list[str]:
    """A line per column: what it asks, whose question it is, chance, and of how many numbers and networks."""
    lines = []
    for test in COLUMNS:
        scored = [score for (_, one), score in judgement.items() if one is test and isfinite(score.value)]
        if scored:
            n = f"n up to {max(score.n for score in scored)} of {max(score.networks for score in scored)} networks"
            lines.append(f"{test.head}: {test.asks} ({test.source}); chance {test.chance}; {n}")
    return lines


def _text(judgement: Judgement) -> str:
    head, lines = _grid(judgement)
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    padded = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in [head, *lines]]
    return "\n".join([*padded, "", *_notes(judgement), ABOUT]) + "\n"


def _markdown(judgement: Judgement) -> str:
    head, lines = _grid(judgement)
    rows = [[cell.translate(ESCAPED) for cell in line] for line in [head, *lines]]
    rule = ["---", *["---:"] * (len(head) - 1)]
    body = ["| " + " | ".join(line) + " |" for line in [rows[0], rule, *rows[1:]]]
    notes = [f"- {note.translate(ESCAPED)}" for note in _notes(judgement)]
    return "\n".join([*body, "", *notes, "", ABOUT.translate(ESCAPED)]) + "\n"


def _csv(judgement: Judgement) -> str:
    out = io.StringIO()
    writer: csv.DictWriter[str] = csv.DictWriter(out, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records(judgement))
    return out.getvalue()


def _json(judgement: Judgement) -> str:
    return json.dumps({"scores": records(judgement), "places": places(judgement)}, indent=1, ensure_ascii=False) + "\n"


RENDERERS: dict[str, Callable[[Judgement], str]] = {"text": _text, "markdown": _markdown, "csv": _csv, "json": _json}
