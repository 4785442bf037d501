"""Owns the formats of layer-identity scores: plain text, Markdown, JSON."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

from repsim.counterparts import Score
from repsim.report import matrixwords as words
from repsim.report.markdown import ESCAPED

HEAD = ("measure", "given → sought", "score", "± 95 %", "right", "of", "ties", "undecided", "pairs", "chance")
MISTAKES = 5  # that a line names
ABOUT = (
    "Layer identity: share of layers, over all pairs of networks, whose counterpart is the most similar layer of the other "
    "network (Kornblith et al. 2019, section 6.1). A tie counts as a failure; undecided: its own cell has no number."
)


def render(scores: Sequence[Score], format: str) -> str:
    """`scores` in one of the formats; ends with a newline."""
    return RENDERERS[format](scores)


def as_dict(scores: Sequence[Score]) -> list[dict[str, Any]]:
    """One entry per matrix and direction, with counts by layer."""
    return [_record(score) for score in scores]


def _record(score: Score) -> dict[str, Any]:
    matrix, found = score.matrix, score.interval
    return {
        **{"measure": matrix.measure, "variant": matrix.variant, "front": matrix.front, "end": matrix.end},
        **{"direction": score.direction, "scale": matrix.scale, "score": _finite(score.score), "chance": score.chance},
        **{"half": _finite(found.half), "independent": found.units, "over": found.over, "pairs": len(matrix.pairs)},
        **{"right": score.count("right"), "decided": score.decided(), "ties": score.count("tie")},
        **{"undecided": score.count("undefined"), "lost_candidates": score.unequal},
        "layers": {layer: _of_layer(score, layer) for layer in score.layers},
        "lacking": words.lacking(matrix),
        "conventions": list(matrix.conventions),
    }


def _of_layer(score: Score, layer: str) -> dict[str, Any]:
    counts = {"right": score.count("right", layer), "decided": score.decided(layer), "ties": score.count("tie", layer)}
    return {**counts, "undecided": score.count("undefined", layer), "taken": dict(score.taken[layer])}


def _line(score: Score) -> list[str]:
    half = f"{100 * score.interval.half:.1f}" if isfinite(score.interval.half) else "–"
    percent = f"{100 * score.score:.1f} %" if isfinite(score.score) else "–"
    counts = (score.count("right"), score.decided(), score.count("tie"), score.count("undefined"), len(score.matrix.pairs))
    return [score.matrix.title, score.direction, percent, half, *map(str, counts), f"{100 * score.chance:.1f} %"]


def _notes(scores: Sequence[Score]) -> list[str]:
    """What was taken for what, and which cells lack a number: a line each, matrix by matrix."""
    lines = [f"{score.matrix.title}, {score.direction}, mistaken: {said}" for score in scores if (said := _mistakes(score))]
    lost = {score.matrix.title: sum(one.unequal for one in scores if one.matrix is score.matrix) for score in scores}
    lines += [f"{title}: {n} candidates of decided layers have no number" for title, n in lost.items() if n]
    lacking = {score.matrix.title: words.lacking(score.matrix) for score in scores}
    return [*lines, *(f"{title}: {said}" for title, all_said in lacking.items() for said in all_said)]


def _mistakes(score: Score) -> str:
    """ "bn3 as bn4 (12), …", the commonest first."""
    found = Counter({(layer, other): n for layer, others in score.taken.items() for other, n in others.items()})
    named = [f"{layer} as {other} ({n})" for (layer, other), n in found.most_common(MISTAKES)]
    more = [f"and {len(found) - MISTAKES} more"] if len(found) > MISTAKES else []
    return ", ".join([*named, *more])


def _text(scores: Sequence[Score]) -> str:
    lines = [list(HEAD), *map(_line, scores)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = [[_pad(cell, width, i) for i, (cell, width) in enumerate(zip(line, widths, strict=True))] for line in lines]
    return "\n".join([*("  ".join(line).rstrip() for line in padded), "", *_notes(scores), ABOUT]) + "\n"


def _pad(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column < 2 else cell.rjust(width)


def _markdown(scores: Sequence[Score]) -> str:
    lines = [list(HEAD), ["---", "---", *["---:"] * (len(HEAD) - 2)], *map(_line, scores)]
    lines = [[cell if i == 1 else cell.translate(ESCAPED) for cell in line] for i, line in enumerate(lines)]
    notes = [f"- {note.translate(ESCAPED)}" for note in _notes(scores)]
    return "\n".join([*("| " + " | ".join(line) + " |" for line in lines), "", *notes, *([""] if notes else []), ABOUT]) + "\n"


def _json(scores: Sequence[Score]) -> str:
    return json.dumps({"scores": as_dict(scores)}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


RENDERERS: dict[str, Callable[[Sequence[Score]], str]] = {"text": _text, "markdown": _markdown, "json": _json}
